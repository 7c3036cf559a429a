// Asking the model: one prompt, or one per line of standard input.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>

#include "cli/commands.h"
#include "cli/line_by_line.h"
#include "cli/listeners.h"
#include "cli/objects.h"
#include "cli/opened_model.h"
#include "cli/outputs.h"
#include "cli/perf.h"
#include "cli/picture_name.h"
#include "cli/reply_json.h"
#include "cli/trace.h"
#include "processing/detections.h"
#include "processing/draw.h"
#include "processing/pixel_file.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A model, a picture, and everything that is said about them.
class Asker {
 public:
  explicit Asker(const Options& options)
      : options_(options),
        progress_(options.verbosity >= 1),
        trace_(options.trace.empty() ? std::nullopt : std::optional<Trace>(options.trace)),
        start_(Clock::now()),
        model_(options, progress_),
        pipeline_(*model_.pipeline),
        load_ms_(milliseconds_since(start_)),
        how_(options.reply(pipeline_.config())),
        dump_(options.dump),
        notes_(model_.notes) {
    if (trace_) trace_->add("load", "host");
    progress_.expect(pipeline_.config().vision.layers, pipeline_.config().text.layers);
  }

  // All of them, for prompts about all; of pixels the picture is the one that they show.
  void look_at(const std::vector<std::string>& paths, bool is_pixels = false) {
    std::vector<AskedPicture> asked;
    std::vector<AnyPipeline::Picture> pictures;
    projector_ms_ = 0;
    for (const std::string& path : paths) {
      const std::string place = paths.size() == 1 ? "" : std::to_string(pictures.size());
      pictures.push_back(encode(path, is_pixels, place));
      asked.push_back({path, image_->view().size(1), image_->view().size(0)});
    }
    std::vector<const AnyPipeline::Picture*> all;
    all.reserve(pictures.size());
    for (const auto& picture : pictures) all.push_back(&picture);
    picture_ = pictures.size() == 1 ? pictures[0] : pipeline_.together(all);
    pictures_ = std::move(asked);
    progress_.clear();
    if (options_.verbosity >= 2) {
      std::fprintf(stderr, "device: %s, executor: %s, weights: %s, threads: %d, seed: %jd\n",
                   model_.device.text.c_str(), model_.device.executor.c_str(),
                   std::string(name_of(pipeline_.dtype())).c_str(), model_.device.threads,
                   std::intmax_t{options_.seed});
    }
  }

  // `place` is the picture's among several.
  AnyPipeline::Picture encode(const std::string& path, bool is_pixels, const std::string& place) {
    check_not_written(options_, path);
    const Config& config = pipeline_.config();
    std::optional<Buffer<float, 3>> pixels;
    if (trace_) trace_->begin();
    if (is_pixels) {
      pixels.emplace(read_pixels(path, config.vision.image_size));
      image_.emplace(shown_by(pixels->view(), config.pixel_scale));
    } else {
      image_.emplace(read_image(picture_path(path), options_.reading(config)));
    }
    if (trace_) trace_->add("read", "host", object({{"image", path}}));
    if (trace_) trace_->begin();
    AnyPipeline::Picture picture = pixels ? pipeline_.encode_pixels(pixels->view(), listener(place))
                                          : pipeline_.encode(image_->view(), listener(place));
    if (trace_) trace_->began_with("preprocess", picture.preprocess_ms);
    return picture;
  }

  void ask(const std::string& prompt) {
    if (options_.verbosity >= 2) {
      const Prompt made = make_prompt(pipeline_.tokenizer(), prompt,
                                      static_cast<int>(pipeline_.config().vision.patches()),
                                      static_cast<int>(pictures_.size()));
      std::fprintf(stderr, "prompt: %s\n",
                   printable(prompt_text(pipeline_.tokenizer(), made.ids)).c_str());
    }

    ReplyOptions how = how_;
    const bool streams = !options_.json && !options_.skip_special_tokens;
    how.on_text = [&](std::string_view text) {
      progress_.clear();
      if (streams) write_answer(options_, text);
    };
    if (trace_) trace_->begin();
    const Reply answer = pipeline_.generate(*picture_, prompt, how, listener());
    if (trace_) trace_->answered(prompt, answer.tokens, pipeline_.tokenizer());
    progress_.clear();
    dump_.finish();

    const std::string text = text_of(options_, pipeline_.tokenizer(), answer);
    const auto detections = parse_detections(answer.text);
    const auto masks = masks_for(detections);
    if (options_.json) {
      const Asked asked{pictures_, prompt};
      const Json objects = objects_json(detections, masks, asked.width(), asked.height());
      write_answer(options_, answer_json(asked, answer, objects).text() + "\n");
    } else {
      write_answer(options_, (streams ? "" : text) + "\n");
      for (const Reply& other : answer.others)
        write_answer(options_, text_of(options_, pipeline_.tokenizer(), other) + "\n");
    }
    if (!options_.output.empty()) {
      write_picture(options_, draw_detections(image_->view(), detections, masks).view());
    }
    notes_.push_back(answer.note);
    notes_.push_back(cut_note(answer));
    print_notes();
    if (options_.perf) {
      print_perf(VitTime{picture_->encode_ms - projector_ms_, pipeline_.config().vision.patches()},
                 answer.prompt.size(), answer.tokens);
    }
  }

  // Once all is done.
  void write_trace() const {
    if (!trace_) return;
    trace_->write(object({{"version", PG_VERSION},
                          {"model", model_.found.id},
                          {"device", model_.device.id},
                          {"executor", model_.device.executor},
                          {"dtype", name_of(pipeline_.dtype())},
                          {"threads", model_.device.threads}}));
  }

  void print_notes() {
    cli::print_notes(options_, notes_);
    notes_.clear();
  }

 private:
  // A GPU has to wait and copy for each tap, so there they are for --dump and --trace alone.
  TapListener listener(const std::string& place = "") {
    if (model_.device.cuda >= 0 && options_.dump.empty() && !trace_) return {};
    return [this, place](const std::string& name, std::span<const float> numbers,
                         std::span<const Index> shape) {
      const std::string full = place.empty() ? name : "img/" + place + name.substr(3);
      if (trace_) trace_->tap(full, shape);
      progress_(name);
      if (name == "img/head") projector_ms_ += milliseconds_since(encoded_);
      if (!options_.dump.empty()) dump_(full, numbers, shape);
      if (name == "img/encoded") encoded_ = Clock::now();
      if (trace_) trace_->resume();
    };
  }

  // That the answer does not end where the model would end it.
  std::string cut_note(const Reply& answer) const {
    if (answer.ended || answer.stopped) return "";
    const std::size_t rows = answer.prompt.size() + answer.tokens.size();
    const bool has_room = static_cast<Index>(rows) < pipeline_.config().text.max_positions;
    return "the answer is cut off at token " + std::to_string(answer.tokens.size()) +
           (has_room ? "; -n allows more" : ", where the model's positions end");
  }

  // Nothing if there is no decoder, or nobody to look at them.
  std::vector<std::optional<Mask>> masks_for(const std::vector<Detection>& detections) {
    if (!pipeline_.mask_decoder()) {
      notes_.push_back(mask_decoder_note(detections));
      return {};
    }
    if ((!options_.json && options_.output.empty()) || pictures_.size() > 1) return {};
    return masks_of(*pipeline_.mask_decoder(), detections, image_->view().size(1),
                    image_->view().size(0));
  }

  Json answer_json(const Asked& asked, const Reply& answer, const Json& objects) const {
    std::vector<Json> per_token;
    double decode_ms = 0;
    for (const GeneratedToken& token : answer.tokens) {
      per_token.push_back(token.milliseconds);
      decode_ms += token.milliseconds;
    }
    const double prefill_ms = answer.tokens.front().milliseconds;
    std::vector<Field> fields = reply_fields(options_, model_, asked, answer, objects);
    fields.push_back({"timings_ms", object({{"load", load_ms_},
                                            {"preprocess", picture_->preprocess_ms},
                                            {"vit", picture_->encode_ms - projector_ms_},
                                            {"projector", projector_ms_},
                                            {"prefill", prefill_ms},
                                            {"decode", decode_ms - prefill_ms},
                                            {"per_token", array(per_token)}})});
    return object(fields);
  }

  const Options& options_;
  Progress progress_;
  std::optional<Trace> trace_;
  Clock::time_point start_;
  OpenedModel model_;
  const AnyPipeline& pipeline_;
  double load_ms_;
  Clock::time_point encoded_;
  double projector_ms_ = 0;
  ReplyOptions how_;
  Dump dump_;
  std::vector<std::string> notes_;
  std::optional<RgbImage> image_;
  std::vector<AskedPicture> pictures_;
  std::optional<AnyPipeline::Picture> picture_;
};

}  // namespace

int run_answer(const Options& options) {
  const bool asks_zeta = !options.tokens.empty() || options.loss || options.top_k_share ||
                         options.top_a || options.max_mem_len;
  if (asks_zeta) {
    throw UsageError(
        "--tokens, --loss, --top-k-share, --top-a and --max-mem-len: this model is no "
        "PalmE and no Transformer of zeta");
  }
  if (asks_many(options)) return run_jobs(options);
  const bool has_pixels = !options.pixels.empty();
  if (options.images.empty() && !has_pixels) throw UsageError("give a picture: --image FILE");
  const auto from_stdin = std::count(options.images.begin(), options.images.end(), "-");
  if (from_stdin > 1) throw UsageError("standard input is one picture");
  if (from_stdin == 1 && !options.prompt) {
    throw UsageError("standard input is the picture, so give the prompt with -p");
  }
  if (options.images.size() > 1 && !options.output.empty())
    throw UsageError("--output: which of the pictures a box is in is not known");
  if (options.output == "-" && !options.prompt) {
    throw UsageError("standard output is one picture, so give the prompt with -p");
  }
  check_outputs(options);

  Asker asker(options);
  asker.look_at(has_pixels ? std::vector{options.pixels} : options.images, has_pixels);
  if (options.prompt) {
    asker.ask(*options.prompt);
  } else {
    asker.print_notes();
    line_by_line([&](const std::string& path) { asker.look_at({path}); },
                 [&](const std::string& prompt) { asker.ask(prompt); });
  }
  asker.write_trace();
  return 0;
}

}  // namespace paligemma::cli
