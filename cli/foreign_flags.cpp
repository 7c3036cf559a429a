#include "cli/foreign_flags.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace paligemma::cli {
namespace {

// Spellings, each between blanks and with "-" for "_": llama.cpp's, then those of transformers and what
// stands on it.
struct Foreign {
  std::string_view flags, instead;
};

constexpr std::array<Foreign, 16> kForeign{{
    {" --mmproj -mm --mmproj-url -mmu --mmproj-auto --no-mmproj --mmproj-offload "
     "--no-mmproj-offload ",
     "the vision tower is part of the checkpoint, so -m names all of it"},
    {" -ngl --gpu-layers --n-gpu-layers -sm --split-mode -ts --tensor-split -mg --main-gpu "
     "--device-map --tensor-parallel-size ",
     "a model runs whole on one device: --device cpu, cuda or cuda:N"},
    {" -c --ctx-size --context-size --max-model-len --max-seq-len ",
     "the context is as long as the model has positions; -n bounds the answer"},
    {" --max-length ", "that counts the prompt too; -n bounds the answer alone"},
    {" -b --batch-size -ub --ubatch-size ", "picture and prompt are one step of the model, whole"},
    {" -tb --threads-batch ", "-t is for all of the work"},
    {" -fa --flash-attn --attn-implementation ",
     "attention never stores its matrix of weights; --reference runs the plain loops"},
    {" --mlock --mmap --no-mmap ", "weights are mapped, always"},
    {" -ctk --cache-type-k -ctv --cache-type-v --kv-bits ", "the cache's type is the executor's"},
    {" --load-in-8bit --load-in-4bit -q4 -q8 --quantization ",
     "--dtype int8 or int4, or paligemma quantize"},
    {" --repeat-penalty --repeat-last-n ", "--repetition-penalty looks at all tokens so far"},
    {" --presence-penalty --frequency-penalty --typical --typical-p --mirostat --samplers "
     "--grammar "
     "--logit-bias --num-beam-groups ",
     "there are --temperature, --top-k, --top-p, --min-p, --repetition-penalty, "
     "--no-repeat-ngram-size, --suppress-tokens and --num-beams"},
    {" -sys --system-prompt --chat-template --jinja -cnv --conversation -no-cnv ",
     "PaliGemma is no chat model: -p is the whole prompt, \"caption en\" or \"answer en ...\""},
    {" -mu --model-url -hff --hf-file --cache-dir --local-files-only --token --hf-token ",
     "nothing is downloaded: -m ORG/NAME is looked for in the hub's cache"},
    {" --trust-remote-code --use-fast ", "there is no code in a checkpoint, and nothing to choose"},
    {" --lora-scaled ", "--adapter FOLDER; its scale is in adapter_config.json"},
}};

}  // namespace

std::string instead_of(std::string flag) {
  std::replace(flag.begin(), flag.end(), '_', '-');
  const auto* found = std::find_if(kForeign.begin(), kForeign.end(), [&](const Foreign& known) {
    return known.flags.find(" " + flag + " ") != known.flags.npos;
  });
  return found == kForeign.end() ? "" : std::string(found->instead);
}

}  // namespace paligemma::cli
