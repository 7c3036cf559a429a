// Asking a PalmE, a Transformer or a ViTransformerWrapper: words for a picture and words.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "cli/commands.h"
#include "cli/listeners.h"
#include "cli/outputs.h"
#include "cli/perf.h"
#include "cli/picture_name.h"
#include "cli/trace.h"
#include "cli/zeta_answer.h"
#include "engine/devices.h"
#include "processing/attention_strip.h"
#include "processing/pixel_file.h"
#include "processing/resize.h"
#include "tensor/json.h"
#include "tensor/utf8.h"
#include "zeta/checkpoint.h"

namespace paligemma::cli {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

constexpr PixelScale kZeroToOne{.mean = {0, 0, 0}, .std = {1, 1, 1}};

class ZetaAsker {
 public:
  ZetaAsker(const Options& options, const ZetaModel& model)
      : options_(options),
        model_(model),
        device_(choose_device(options.executor(model.found.path))),
        trace_(options.trace.empty() ? std::nullopt : std::optional<Trace>(options.trace)),
        dump_(options.dump) {
    const auto start = Clock::now();
    zeta::PipelineOptions how{model.found.path, options.pipeline().dtype, {}};
    if (options.max_mem_len) how.memory_rows = *options.max_mem_len;
    pipeline_ = open_zeta(device_, how);
    answer_.load_ms = milliseconds_since(start);
    if (trace_) trace_->add("load", "host");
    notes_ = {device_.note, model.found.note};
    if (!pipeline_->trained()) {
      notes_.push_back("the model " + model.found.id +
                       " is untrained: its weights are random, and so is what it says");
    }
    if (options.verbosity >= 2) {
      std::fprintf(stderr, "device: %s, executor: %s, weights: %s, threads: %d, seed: %jd\n",
                   device_.text.c_str(), device_.executor.c_str(),
                   std::string(name_of(pipeline_->dtype())).c_str(), device_.threads,
                   std::intmax_t{options.seed});
    }
  }

  void look() {
    const Index S = model_.vision()->image_size;
    const bool is_file = !options_.pixels.empty();
    const std::string path = is_file ? options_.pixels : options_.images[0];
    const auto start = Clock::now();
    Buffer<float, 3> pixels({S, S, 3}, unwritten);
    Index width = S, height = S;
    if (is_file) {
      pixels = read_pixels(path, S);
    } else {
      const RgbImage image = read_image(
          picture_path(path), {.turns = options_.orientation == "exif", .blends_alpha = true});
      height = image.view().size(0);
      width = image.view().size(1);
      RgbImage squashed({S, S, 3}, unwritten);
      const auto filter =  // as PaliGemma's, unless told otherwise
          options_.resize == "bilinear" ? ResampleFilter::bilinear : ResampleFilter::bicubic;
      resize(image.view(), filter, squashed.view());
      normalize_pixels(squashed.view(), kZeroToOne, pixels.view());
    }
    answer_.preprocess_ms = milliseconds_since(start);
    answer_.image = object({{"path", path}, {"width", width}, {"height", height}});
    if (!options_.output.empty()) picture_.emplace(shown_by(pixels.view(), kZeroToOne));
    if (trace_) trace_->add("read", "host", object({{"image", path}}));
    const auto begin = Clock::now();
    classes_ = pipeline_->look_at(pixels.view(), listener(true));
    answer_.vit_ms = milliseconds_since(begin);
  }

  // Of a picture alone, or of a text whose head does not score words: at its last token.
  void classify(const std::vector<TokenId>& ids) {
    if (!ids.empty()) {
      const Buffer<float, 2> logits = pipeline_->logits(ids, listener(true));
      const auto last = logits.view().rows(logits.view().size(0) - 1, logits.view().size(0));
      classes_.assign(last.data(), last.data() + last.count());
    }
    if (options_.json) {
      std::vector<Field> fields{{"image", answer_.image}, {"classes", array_of(classes_)}};
      if (!ids.empty()) fields.insert(fields.begin() + 1, {"prompt_tokens", ids.size()});
      return write(object(with_model(fields)));
    }
    std::string line;
    char number[32];
    for (const float score : classes_) {
      std::snprintf(number, sizeof number, "%.6g", static_cast<double>(score));
      line += (line.empty() ? "" : ",") + std::string(number);
    }
    write_answer(options_, line + "\n");
  }

  void score(const std::vector<TokenId>& ids) {
    dump_logits(ids);
    const double loss = pipeline_->loss(ids);
    if (options_.json) {
      return write(object(with_model({{"image", answer_.image},
                                      {"prompt_tokens", ids.size()},
                                      {"loss", std::round(loss * 1e6) / 1e6}})));
    }
    char line[32];
    std::snprintf(line, sizeof line, "%.6f\n", loss);
    write_answer(options_, line);
  }

  void write_on(const std::vector<TokenId>& prompt) {
    dump_logits(prompt);
    const zeta::TextOptions how = text_options(options_, model_.config);
    std::optional<zeta::TextStream> words;
    if (model_.words) words.emplace(*model_.words);
    const auto add = [&](const std::string& text) {
      answer_.text += text;
      if (!options_.json) write_answer(options_, text);
    };
    const auto on_token = [&](const GeneratedToken& token) {
      if (trace_) trace_->add("token " + std::to_string(token.id), "token");
      answer_.ended = how.end_tokens.contains(token.id);
      if (!words) add((answer_.text.empty() ? "" : ",") + std::to_string(token.id));
      if (words && !answer_.ended) add(words->step(token.id));
      return true;
    };
    answer_.prompt_tokens = prompt.size();
    answer_.tokens = pipeline_->generate(prompt, how, on_token, listener(false));
    if (words) add(words->finish());
    if (options_.json) {
      write(object(with_model(answer_fields(options_, model_, answer_))));
    } else {
      write_answer(options_, "\n");
    }
    if (picture_) write_picture(options_, attention_strip(picture_->view(), looks_).view());
    if (!answer_.ended && model_.config.eos_token) {
      notes_.push_back("the text is cut off at token " + std::to_string(answer_.tokens.size()) +
                       "; -n allows more");
    }
    if (options_.perf) {
      std::optional<VitTime> vit;
      if (model_.looks_at_pictures()) vit = {answer_.vit_ms, model_.vision()->patches()};
      print_perf(vit, prompt.size(), answer_.tokens);
    }
  }

  void finish() {
    if (trace_) {
      trace_->write(object({{"version", PG_VERSION},
                            {"model", model_.found.id},
                            {"device", device_.id},
                            {"executor", device_.executor},
                            {"dtype", name_of(pipeline_->dtype())},
                            {"threads", device_.threads}}));
    }
    print_notes(options_, notes_);
  }

 private:
  // Taps cost a little, so nobody listens unless somebody asked.
  TapListener listener(bool dumps) {
    dumps &= !options_.dump.empty();
    const std::string looks = picture_ ? last_cross_attention(*model_.text()) : "";
    if (!dumps && !trace_ && looks.empty()) return {};
    return [this, dumps, looks](const std::string& name, std::span<const float> numbers,
                                std::span<const Index> shape) {
      if (trace_) trace_->tap(name, shape);
      if (dumps) dump_(name, numbers, shape);
      if (name == looks) add_look(numbers, shape);
      if (trace_) trace_->resume();
    };
  }

  // The last row of [T, N, L], in the mean over heads: where the word that comes next looks.
  void add_look(std::span<const float> numbers, std::span<const Index> shape) {
    const auto N = static_cast<std::size_t>(shape[1]), L = static_cast<std::size_t>(shape[2]);
    std::vector<float>& look = looks_.emplace_back(L, 0.0f);
    const auto row = numbers.last(N * L);
    for (std::size_t i = 0; i < N * L; ++i) look[i % L] += row[i] / static_cast<float>(N);
  }

  void dump_logits(const std::vector<TokenId>& ids) {
    if (!options_.dump.empty()) pipeline_->logits(ids, listener(true));
    looks_.clear();
  }

  void write(const Json& json) { write_answer(options_, json.text() + "\n"); }

  std::vector<Field> with_model(std::vector<Field> fields) const {
    std::vector<Field> about{{"id", model_.found.id}, {"arch", model_.architecture()}};
    if (const auto* vision = model_.vision()) about.push_back({"image_size", vision->image_size});
    about.insert(about.end(), {{"params", zeta::parameter_count(model_.config)},
                               {"dtype", name_of(pipeline_->dtype())},
                               {"trained", pipeline_->trained()}});
    fields.insert(fields.begin(),
                  {{"version", PG_VERSION}, {"model", object(about)}, {"device", device_.id}});
    return fields;
  }

  const Options& options_;
  const ZetaModel& model_;
  Device device_;
  std::optional<Trace> trace_;
  Dump dump_;
  std::unique_ptr<zeta::Pipeline> pipeline_;
  std::vector<std::string> notes_;
  ZetaAnswer answer_;
  std::vector<float> classes_;
  std::optional<RgbImage> picture_;        // to be drawn on
  std::vector<std::vector<float>> looks_;  // of each word, at each patch
};

void ask(const Options& options, const ZetaModel& model) {
  check_fits(options, model);
  check_outputs(options);
  std::vector<TokenId> ids;
  if (model.text() != nullptr) ids = prompt_of(options, model);
  ZetaAsker asker(options, model);
  if (model.looks_at_pictures()) asker.look();
  if (!model.writes()) {
    asker.classify(ids);
  } else if (options.loss) {
    asker.score(ids);
  } else {
    asker.write_on(ids);
  }
  asker.finish();
}

}  // namespace

int run_zeta(const Options& options) {
  const ZetaModel model = find_zeta(options);
  const std::string& id = model.found.id;
  if (!options.adapter.empty()) {
    throw UsageError("--adapter: " + id + " is a " + model.architecture());
  }
  switch (options.command) {
    case Command::none:
      ask(options, model);
      return 0;
    case Command::inspect:
      return inspect_zeta(options, model);
    case Command::bench:
      return bench_zeta(options, model);
    case Command::embed:
      throw UsageError(id + " is a " + model.architecture() +
                       "; only the vision towers of PaliGemma and SigLIP embed pictures");
    case Command::search:
      throw UsageError(id + " is a " + model.architecture() + "; a ColPali searches");
    default:
      throw UsageError(id + " is a " + model.architecture() +
                       (model.looks_at_pictures()
                            ? "; give it a picture: -m " + id + " --image FILE"
                            : "; give it something to begin with: -m " + id + " --tokens 5,3,2"));
  }
}

}  // namespace paligemma::cli
