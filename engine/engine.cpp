#include "engine/engine.h"

#include <omp.h>

#include <cmath>
#include <stdexcept>
#include <utility>

#include "engine/devices.h"
#include "processing/detections.h"
#include "processing/segmentation.h"
#include "tensor/errors.h"

namespace paligemma {
namespace {

// The loader and the mask decoder use OpenMP, of which the calling thread has so many threads meanwhile.
class OpenMpThreads {
 public:
  explicit OpenMpThreads(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  ~OpenMpThreads() { omp_set_num_threads(before_); }
  OpenMpThreads(const OpenMpThreads&) = delete;
  OpenMpThreads& operator=(const OpenMpThreads&) = delete;

 private:
  int before_;
};

void require(bool fits, const std::string& rule) {
  if (!fits) throw std::invalid_argument(rule);
}

std::optional<WeightFormat> format_of(const std::string& dtype) {
  const auto format = weight_format_named(dtype);
  require(format || dtype == "auto",
          "dtype " + dtype + ": must be auto, f32, bf16, f16, int8 or int4");
  return format;
}

// What is not said is the model's to say.
ReplyOptions reply_options(const AnswerOptions& options, const GenerationConfig& of_the_model) {
  require(options.max_tokens.value_or(1) >= 1, "max_tokens must be at least 1");
  require(options.temperature >= 0 && std::isfinite(options.temperature),
          "temperature must be 0 or more");
  require(options.top_k >= 0, "top_k must be 0 or more");
  require(options.top_p >= 0 && options.top_p <= 1, "top_p must be from 0 to 1");
  ReplyOptions reply = as_configured(of_the_model);
  reply.answers = 1;
  if (options.max_tokens) reply.max_tokens = options.max_tokens;
  reply.sampler = {options.temperature, options.top_k, options.top_p, options.seed};
  if (options.temperature > 0) reply.beams = {}, reply.contrast = {};
  reply.on_text = options.on_text;
  return reply;
}

// Of a picture of width x height.
std::vector<Object> objects_of(const std::string& text, const std::optional<MaskDecoder>& decoder,
                               int width, int height) {
  const auto detections = parse_detections(text);
  std::vector<std::optional<Mask>> masks(detections.size());
  if (decoder) masks = masks_of(*decoder, detections, width, height);
  std::vector<Object> objects;
  for (std::size_t i = 0; i < detections.size(); ++i) {
    const Box box = pixel_box(detections[i], width, height);
    objects.push_back({detections[i].label, box.x_min, box.y_min, box.x_max, box.y_max, {}});
    if (!masks[i]) continue;
    const auto mask = std::as_const(*masks[i]).view();
    objects.back().mask.assign(mask.data(), mask.data() + mask.count());
  }
  return objects;
}

}  // namespace

struct Engine::State {
  Device device;
  int threads;
  std::shared_ptr<const AnyPipeline> pipeline;
};

struct Picture::State {
  std::shared_ptr<const AnyPipeline> pipeline;  // outlives what it has encoded
  AnyPipeline::Picture encoded;
  int width, height;
};

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Engine Engine::open(const std::filesystem::path& model, const EngineOptions& options) {
  require(options.threads >= 0 && options.threads <= 1024, "threads must be from 0 to 1024");
  const int threads = threads_for(options.threads);
  const OpenMpThreads use(threads);
  Device device = choose_device({.device = options.device, .threads = threads, .model = model});
  PipelineOptions how{.model = model, .dtype = format_of(options.dtype)};
  if (!options.adapter.empty()) how.adapter = options.adapter;
  if (options.pictures_only) how.towers = Towers::vision;
  auto pipeline = open_pipeline(device, how);
  std::vector<std::string> notes{pipeline->config().generation.note};
  if (!options.pictures_only) notes.push_back(pipeline->tokenizer().note());
  for (const std::string& note : notes) {
    if (!note.empty()) device.note += (device.note.empty() ? "" : "; ") + note;
  }
  return Engine(std::make_unique<State>(State{std::move(device), threads, std::move(pipeline)}));
}

const std::string& Engine::device() const { return state_->device.id; }
const std::string& Engine::note() const { return state_->device.note; }

namespace {

// As the model's folder says that transparent pictures are read.
RgbImage read_for(const AnyPipeline& pipeline, const std::filesystem::path& file) {
  return read_image(file, {.blends_alpha = pipeline.config().blends_alpha});
}

Image image_of(const RgbImage& image) {
  const auto pixels = image.view();  // [H, W, 3]
  return {static_cast<int>(pixels.size(1)),
          static_cast<int>(pixels.size(0)),
          {pixels.data(), static_cast<std::size_t>(pixels.count())}};
}

View<const std::uint8_t, 3> pixels_of(const Image& image) {
  const std::size_t bytes = image.pixels.size();
  const auto row = static_cast<std::size_t>(image.width) * 3;
  if (image.width < 1 || image.height < 1 || bytes % row != 0 ||
      bytes / row != static_cast<std::size_t>(image.height)) {
    throw ImageError("an image of " + std::to_string(image.width) + " x " +
                     std::to_string(image.height) + " pixels has not " + std::to_string(bytes) +
                     " bytes");
  }
  return {image.pixels.data(), {image.height, image.width, 3}};
}

}  // namespace

Picture Engine::look_at(const std::filesystem::path& file) {
  return look_at(image_of(read_for(*state_->pipeline, file)));
}

Picture Engine::look_at(const Image& image) {
  require(state_->pipeline->config().text.layers > 0, "the engine is for pictures only");
  const auto pixels = pixels_of(image);
  const OpenMpThreads use(state_->threads);
  return Picture(std::make_shared<Picture::State>(Picture::State{
      state_->pipeline, state_->pipeline->encode(pixels, {}), image.width, image.height}));
}

Answer Engine::answer(const Picture& picture, std::string_view prompt,
                      const AnswerOptions& options) {
  const Picture::State* seen = picture.state_.get();
  require(seen && seen->pipeline == state_->pipeline, "the picture is another engine's");
  const AnyPipeline& pipeline = *state_->pipeline;
  const OpenMpThreads use(state_->threads);
  const Reply reply = pipeline.generate(seen->encoded, prompt,
                                        reply_options(options, pipeline.config().generation), {});

  Answer answer{reply.text,
                {},
                {},
                reply.ended     ? FinishReason::eos
                : reply.stopped ? FinishReason::stop
                                : FinishReason::length,
                reply.note};
  for (const GeneratedToken& token : reply.tokens) {
    answer.tokens.push_back(
        {token.id, pipeline.tokenizer().piece(token.id), token.log_probability});
  }
  answer.objects = objects_of(reply.text, pipeline.mask_decoder(), seen->width, seen->height);
  return answer;
}

Answer Engine::answer(const std::filesystem::path& picture, std::string_view prompt,
                      const AnswerOptions& options) {
  return answer(look_at(picture), prompt, options);
}

Answer Engine::answer(const Image& picture, std::string_view prompt, const AnswerOptions& options) {
  return answer(look_at(picture), prompt, options);
}

Embedding Engine::embed(const std::filesystem::path& picture, const EmbeddingOptions& options) {
  return embed(image_of(read_for(*state_->pipeline, picture)), options);
}

Embedding Engine::embed(const Image& picture, const EmbeddingOptions& options) {
  const auto pool = siglip::pool_named(options.pool);
  require(pool || options.pool == "auto",
          "pool " + options.pool + ": must be auto, none, mean, first or attention");
  const auto pixels = pixels_of(picture);
  const OpenMpThreads use(state_->threads);
  const Buffer<float, 2> rows =
      state_->pipeline->embed(pixels, {pool, options.projected, options.unit_length});
  const auto numbers = rows.view();
  return {static_cast<int>(numbers.size(0)),
          static_cast<int>(numbers.size(1)),
          {numbers.data(), numbers.data() + numbers.count()}};
}

}  // namespace paligemma
