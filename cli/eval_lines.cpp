// Scores a model on the lines of a file, such as it learns from.
#include <cmath>
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/opened_model.h"
#include "processing/image_file.h"
#include "tensor/json.h"
#include "train/examples.h"
#include "train/line_scores.h"

namespace paligemma::cli {
namespace {

constexpr Index kAtOnce = 8;

std::shared_ptr<const AnyPipeline::Picture> seen(const Options& options,
                                                 const AnyPipeline& pipeline,
                                                 const Examples::Line& line) {
  std::vector<AnyPipeline::Picture> pictures;
  for (const auto& path : line.pictures) {
    const RgbImage image = read_image(path, options.reading(pipeline.config()));
    pictures.push_back(pipeline.encode(image.view(), {}));
  }
  if (pictures.size() == 1) {
    return std::make_shared<const AnyPipeline::Picture>(std::move(pictures[0]));
  }
  std::vector<const AnyPipeline::Picture*> all;
  all.reserve(pictures.size());
  for (const auto& picture : pictures) all.push_back(&picture);
  return std::make_shared<const AnyPipeline::Picture>(pipeline.together(all));
}

}  // namespace

int run_eval_lines(const Options& options) {
  Progress progress(options.verbosity >= 1);
  const OpenedModel model(options, progress);
  const AnyPipeline& pipeline = *model.pipeline;
  const TrainingFlags& flags = options.training;
  const Examples examples(flags.data, pipeline.config(), pipeline.tokenizer(), flags.skip_bad);
  print_notes(options, model.notes);

  ReplyOptions how = options.reply(pipeline.config());
  how.answers = 1;
  LineScores scores;
  Index asked = 0, skipped = examples.skipped();
  pipeline.generate_all(kAtOnce, [&](bool) -> std::optional<AnyPipeline::Request> {
    while (asked < examples.count()) {
      const Examples::Line& line = examples.line(asked++);
      try {
        return AnyPipeline::Request{seen(options, pipeline, line), line.prompt, how,
                                    [&](const Reply& reply) {
                                      scores.add(line.suffix, reply.text);
                                      progress.answered(scores.exact.count, examples.count());
                                    },
                                    [](const PromptError& error) { throw error; }};
      } catch (const ImageError&) {
        if (!flags.skip_bad) throw;
        ++skipped;
      }
    }
    return std::nullopt;
  });
  progress.clear();

  const auto number = [](double value) { return std::round(value * 1e4) / 1e4; };
  std::vector<Field> fields{{"data", flags.data},
                            {"n", scores.exact.count},
                            {"skipped", skipped},
                            {"exact", number(scores.exact.value())},
                            {"f1", number(scores.f1.value())},
                            {"miou", number(scores.overlap.value())},
                            {"recall50", number(scores.recall50.value())}};
  if (options.json) {
    std::cout << object(fields).text() << "\n";
    return 0;
  }
  std::string text = std::to_string(scores.exact.count) + " lines of " + flags.data;
  if (skipped > 0) text += ", " + std::to_string(skipped) + " passed over";
  text += "\n";
  const auto add = [&](const char* name, const LineScores::Mean& mean) {
    char score[32];
    std::snprintf(score, sizeof score, "%s %.3f", name, mean.value());
    if (mean.count > 0) text += score;
  };
  add("exact", scores.exact);
  add("   f1", scores.f1);
  add("   miou", scores.overlap);
  add("   recall50", scores.recall50);
  std::cout << text << "\n";
  return 0;
}

}  // namespace paligemma::cli
