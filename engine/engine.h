// Engine: a model, ready to answer about pictures. This header and errors.h are all that is installed.
//
//   auto engine = paligemma::Engine::open("models/tiny");
//   std::cout << engine.answer("scene.png", "caption en").text;
//
//   const auto scene = engine.look_at("scene.png");  // a picture is encoded once and asked many things
//   for (const auto& object : engine.answer(scene, "detect red circle").objects) ...
//
// Threads: an engine serves one caller at a time. Several engines run side by side; each has the model's
// weights, of which those that are used as stored are shared by all processes, and threads of its own.
//
// Opening proves the processor's kernels right, in a child process, the first time that they are met, and
// keeps that in the user's cache ($XDG_CACHE_HOME/paligemma).
//
// Errors: what <paligemma/errors.h> lists, for models, pictures and prompts; std::invalid_argument for an
// option out of its range; std::runtime_error for a device that is not there. A call that throws leaves the
// engine as it was.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace paligemma {

struct EngineOptions {
  std::string device = "auto";  // "cpu"; "cuda" or "cuda:N", a GPU; "auto", one that was measured
  int threads = 0;              // of the processor; 0: all
  std::string dtype =
      "auto";  // weights in memory: as stored, or "f32", "bf16", "f16", "int8", "int4"
  std::filesystem::path adapter = {};  // a LoRA adapter's folder, as PEFT writes it; or none
  bool pictures_only = false;  // the vision tower alone, for embed(); `model` may be a SigLIP then
};

// A picture in the caller's memory: rows from top to bottom, 3 * width bytes each: red, green, blue, ...
struct Image {
  int width = 0, height = 0;
  std::span<const std::uint8_t> pixels;
};

// A picture as the model has seen it. Copies share it, and what they share keeps the model in memory.
class Picture {
 public:
  struct State;

 private:
  friend class Engine;
  explicit Picture(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  std::shared_ptr<const State> state_;
};

struct AnswerOptions {
  std::optional<int> max_tokens = {};  // default: 100, or what the model's positions leave room for
  float temperature = 0;               // 0: always the likeliest token; above, tokens are drawn
  int top_k = 0;                       // draw among so many of the likeliest only; 0: among all
  float top_p = 1;                     // ... that have this share of the probability together
  std::uint64_t seed = 0;              // of the draws
  // Hears the text as it comes, in stretches of whole characters. What it throws ends the answer.
  std::function<void(std::string_view)> on_text = {};
};

struct EmbeddingOptions {
  // "mean" or "first" of the patches; "attention", what the vision tower's own head makes of them; "none", a row for
  // each; "auto": attention if the engine is for pictures only and the model has such a head, else mean.
  std::string pool = "auto";
  bool projected = false;    // into the language model's width
  bool unit_length = false;  // each row, so that products of two are cosines
};

struct Embedding {
  int rows, width;  // one row, unless nothing is pooled
  std::vector<float> numbers;
};

struct Token {
  int id;
  std::string piece;      // "▁red", "<loc0051>", "<eos>"
  float log_probability;  // natural, among all tokens, before temperature, top_k and top_p
};

// What "detect" and "segment" find. Boxes are in pixels of the picture, not rounded.
struct Object {
  std::string name;
  double x_min, y_min, x_max, y_max;
  // Rows as the picture's, a byte a pixel: 255 where the object is, elsewhere 0. Empty if the answer has no
  // mask, or vae-oid.npz is not beside the model.
  std::vector<std::uint8_t> mask;
};

enum class FinishReason { eos, length, stop };  // the model ended, max_tokens did, or a stop string

struct Answer {
  std::string text;
  std::vector<Token> tokens;  // the end token too, when it came
  std::vector<Object> objects;
  FinishReason finish_reason;
  std::string note;  // one line for the user, or "": what the prompt says in vain
};

class Engine {
 public:
  // `model` is a PaliGemma: a folder as the Hugging Face hub has it, or a safetensors file in one.
  static Engine open(const std::filesystem::path& model, const EngineOptions& options = {});

  // An engine that has been moved from may be assigned to or destroyed, nothing else.
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  const std::string& device() const;  // "cpu", "cuda:0"
  const std::string& note() const;    // one line for the user, or "": which kernels failed, what
                                      // generation_config.json asks for in vain

  // PNG, JPEG, WebP, GIF, BMP, PPM, PGM or TGA, turned upright as EXIF or XMP says.
  Picture look_at(const std::filesystem::path& file);
  Picture look_at(const Image& image);

  // `prompt` is "caption en", "answer en what is this?", "detect cat ; dog", "segment cat", "ocr". The
  // picture is one that this engine has looked at.
  Answer answer(const Picture& picture, std::string_view prompt, const AnswerOptions& options = {});
  // Both in one.
  Answer answer(const std::filesystem::path& picture, std::string_view prompt,
                const AnswerOptions& options = {});
  Answer answer(const Image& picture, std::string_view prompt, const AnswerOptions& options = {});

  // The picture as numbers, to be compared with those of others.
  Embedding embed(const std::filesystem::path& picture, const EmbeddingOptions& options = {});
  Embedding embed(const Image& picture, const EmbeddingOptions& options = {});

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace paligemma
