// A learner that says what it was told to, and a run with it: what a loop does, whatever is learned.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/run_options.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/training_golden.h"
#include "train/loop.h"

namespace paligemma::test {

// Each learned token of a sequence has a loss by how many are learned in it, and a gradient of 3 and 4 in the first two
// numbers of the first parameter.
class ToldLearner : public Learner {
 public:
  explicit ToldLearner(Parameters& parameters) : parameters_(parameters) {}

  std::function<double(Index learned)> loss_of = [](Index) { return 1.0; };
  std::function<double()> validation_loss_of = {};  // of each token, whatever is learned
  float factor = 1;                                 // of the gradient
  std::vector<std::size_t> learned, asked;          // sequences of each call
  std::vector<std::uint64_t> numbers;               // of the batches that were learned

  double learn(const TrainingBatch& batch) override {
    learned.push_back(batch.segments.size());
    numbers.push_back(batch.number);
    float weights = 0;
    for (const float weight : batch.next.weights) weights += weight;
    const auto gradient = parameters_.all()[0].gradient.view();
    gradient(0, 0) += 3 * factor * weights;
    gradient(0, 1) += 4 * factor * weights;
    return sum(batch, loss_of);
  }
  double loss(const TrainingBatch& batch) override {
    asked.push_back(batch.segments.size());
    if (!validation_loss_of) return sum(batch, loss_of);
    return sum(batch, [each = validation_loss_of()](Index) { return each; });
  }

 private:
  static double sum(const TrainingBatch& batch, const std::function<double(Index)>& loss) {
    double sum = 0;
    for (const gemma::Segment& segment : batch.segments) {
      const Index count = segment.T - segment.prefix;
      sum += static_cast<double>(batch.next.weights[0]) * static_cast<double>(count) * loss(count);
    }
    return sum;
  }

  Parameters& parameters_;
};

// Learns the decoder's last norm of the golden PaliGemma 1, by gradients alone.
struct ToldRun {
  TrainingGolden golden{1};
  Tokenizer tokenizer{golden.folder, golden.config.image_token,
                      static_cast<TokenId>(golden.config.text.vocabulary)};
  Parameters parameters{golden.checkpoint, golden.config, [](const std::string& name) {
                          return name == "language_model.model.norm.weight";
                        }};
  Optimizer optimizer{{.kind = OptimizerKind::sgd, .momentum = 0}, parameters.all()};
  ToldLearner learner{parameters};
  RunState state;
  std::vector<StepReport> reports;
  std::vector<std::string> events;  // "best 2", "step 2", "save 2"
  Index last = -1;                  // stopped there
  Index skipped = 0;

  std::vector<Index> tokens() const {
    std::vector<Index> all;
    for (const StepReport& report : reports) all.push_back(report.tokens);
    return all;
  }
  float number(Index i) const { return parameters.all()[0].value.view()(0, i); }

  Examples lines(const std::filesystem::path& file, bool skip_bad = false) const {
    return {file, golden.config, tokenizer, skip_bad};
  }
  Examples lines() const { return lines(golden.training / "lines.jsonl"); }

  bool run(const RunOptions& options, Examples examples, Examples* validation = nullptr) {
    LineLessons lessons(options.lines(), examples, validation);
    Loop loop(options.loop(), learner, parameters, optimizer, lessons);
    const auto note = [this](const char* event) {
      events.push_back(event + std::to_string(state.step));
    };
    LoopListener listener;
    listener.on_step = [&](const StepReport& report) {
      note("step ");
      reports.push_back(report);
    };
    listener.on_best = [&] { note("best "); };
    listener.save = [&] { note("save "); };
    listener.is_stopped = [&] { return state.step == last; };
    const bool is_done = loop.run(state, listener);
    skipped = lessons.skipped();
    return is_done;
  }
};

// Lines with these suffixes, each about the same golden picture or one of the folder's own.
inline std::filesystem::path lines_of(const TrainingGolden& golden, const TemporaryFolder& folder,
                                      const std::vector<std::string>& suffixes,
                                      const std::string& picture = "") {
  const std::string image = picture.empty() ? (golden.training / "0.png").string() : picture;
  std::string lines;
  for (const std::string& suffix : suffixes) {
    const nlohmann::json line{{"image", image}, {"prefix", "ocr"}, {"suffix", suffix}};
    lines += line.dump() + "\n";
  }
  write_text(folder / "own.jsonl", lines);
  return folder / "own.jsonl";
}

// The golden lines and pictures, the third of which is none.
inline std::filesystem::path lines_with_a_bad_picture(const TrainingGolden& golden,
                                                      const TemporaryFolder& folder) {
  for (const char* name : {"lines.jsonl", "0.png", "1.png", "2.png", "3.png"}) {
    std::filesystem::copy_file(golden.training / name, folder / name);
  }
  write_text(folder / "2.png", "no picture");
  return folder / "lines.jsonl";
}

}  // namespace paligemma::test
