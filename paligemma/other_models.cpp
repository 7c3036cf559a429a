#include "paligemma/other_models.h"

#include <array>
#include <set>
#include <string_view>

namespace paligemma {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSave =
    "; only safetensors are read: load it with transformers and write it with save_pretrained";
constexpr std::string_view kAdapter =
    "; give it with --adapter, and with -m the model that it changes";
constexpr std::string_view kMerge =
    "; merge it into the model that it changes, merge_and_unload() in peft, and write that with "
    "save_pretrained";
constexpr std::string_view kOriginal =
    "; only unquantised weights are read, and those that `paligemma quantize` "
    "has made of them: take the model that it was made from";

constexpr std::string_view kMergeKeras =
    "; load it with load_lora_weights and write the model with save_to_preset, in keras_hub";
constexpr std::string_view kPreset =
    "; a preset of PaliGemmaBackbone is read, with config.json and model.weights.h5, as "
    "save_to_preset "
    "writes them";

struct Sign {
  std::string_view text, name, advice;
};

// Ends of file names, the surest first.
constexpr std::array<Sign, 16> kFiles{
    {{"adapter_config.json", "a PEFT adapter", kAdapter},
     {".lora.h5", "a LoRA of Keras", kMergeKeras},
     {"task.json", "part of a preset of Keras", kPreset},
     {".weights.h5", "weights of Keras", kPreset},
     {".weights.json", "part of weights of Keras", kPreset},
     {".keras", "a model of Keras", "; take the model for transformers"},
     {".gguf", "GGUF, for llama.cpp",
      "; only safetensors are read: take the model that it was made from"},
     {".msgpack", "a checkpoint of Flax", kSave},
     {"_METADATA", "a checkpoint of JAX's Orbax", "; take the model for transformers"},
     {"_CHECKPOINT_METADATA", "a checkpoint of JAX's Orbax", "; take the model for transformers"},
     {"manifest.ocdbt", "a checkpoint of JAX's Orbax", "; take the model for transformers"},
     {".bin", "a checkpoint of PyTorch", kSave},
     {".pt", "a checkpoint of PyTorch", kSave},
     {".pth", "a checkpoint of PyTorch", kSave},
     {".ckpt", "a checkpoint of PyTorch Lightning or TensorFlow", kSave},
     {".h5", "a checkpoint of TensorFlow or Keras", kSave}}};

// Parts of tensors' names.
constexpr std::array<Sign, 12> kTensors{
    {{".lora_A", "part of a PEFT adapter", kAdapter},
     {".lora_B", "part of a PEFT adapter", kAdapter},
     {".lora_embedding_", "part of a PEFT adapter", kAdapter},
     {".base_layer.", "part of a model with a PEFT adapter", kMerge},
     {".quant_state.", "quantised by bitsandbytes", kOriginal},
     {".absmax", "quantised by bitsandbytes", kOriginal},
     {".SCB", "quantised by bitsandbytes", kOriginal},
     {".qweight", "quantised by GPTQ or AWQ", kOriginal},
     {".qzeros", "quantised by GPTQ or AWQ", kOriginal},
     {".weight_packed", "quantised by compressed-tensors", kOriginal},
     {".weight_scale", "quantised by compressed-tensors", kOriginal},
     {".biases", "quantised by MLX", kOriginal}}};

std::string text_of(const Sign& sign) { return std::string(sign.name) + std::string(sign.advice); }

}  // namespace

std::string other_model_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; entry != end; entry.increment(error)) {
    names.insert(entry->path().filename().string());
  }
  for (const char* of_training :
       {"training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt"}) {
    names.erase(of_training);
  }
  for (const Sign& sign : kFiles) {
    for (const std::string& name : names) {
      if (name.ends_with(sign.text)) return name + " is " + text_of(sign);
    }
  }
  // big_vision's; the mask decoder's is beside every model.
  for (const std::string& name : names) {
    if (name.ends_with(".npz") && name != "vae-oid.npz") {
      return name + " is a checkpoint of big_vision; take the model for transformers";
    }
  }
  return "";
}

std::string other_model_of(const std::string& tensor) {
  for (const Sign& sign : kTensors) {
    if (tensor.find(sign.text) != tensor.npos) return text_of(sign);
  }
  return "";
}

}  // namespace paligemma
