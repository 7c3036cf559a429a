#include "cli/command_flags.h"

namespace paligemma::cli {

std::string flags_of(Command command) {
  std::string all = " --help --help-all --version --list-devices --verbosity -v -q --report ";
  const std::string model = all + "--model --hf-repo --revision ";
  std::string pipeline = model +
                         "--adapter --tokenizer --mask-decoder --dtype --softcap --sliding-window "
                         "--resize --reference --device --kernels --threads --json ";
  std::string ask = pipeline +
                    "--image --pixels --orientation --max-tokens --temperature --top-p --top-k "
                    "--do-sample --seed --min-p --repetition-penalty --no-repeat-ngram-size "
                    "--num-beams --length-penalty --early-stopping --num-return-sequences "
                    "--penalty-alpha --prompt-lookup --suppress-tokens --stop --top-logprobs "
                    "--output --skip-special-tokens --perf --dump --trace --batch ";
  switch (command) {
    case Command::none:
      return ask +
             "--prompt --file --tokens --loss --top-k-share --top-a --max-mem-len "
             "--jsonl --out --shard ";
    case Command::caption:
    case Command::answer:
      return ask + "--lang ";
    case Command::detect:
    case Command::segment:
    case Command::ocr:
      return ask;
    case Command::embed:
      return model +
             "--adapter --tokenizer --dtype --resize --reference --device --kernels --threads "
             "--json --image --pixels --orientation --output ";
    case Command::search:
      return model +
             "--adapter --tokenizer --dtype --resize --reference --device --kernels --threads "
             "--json --image --orientation --output ";
    case Command::scene:
      return all + "--seed --output --json ";
    case Command::eval:
      return pipeline;
    case Command::finetune:
      return model +
             "--tokenizer --dtype --resize --reference --device --kernels --threads --json --out "
             "--batch --seed ";
    case Command::train_tiny:
      return model + "--mask-decoder --reference --device --kernels --threads --json --out --seed ";
    case Command::bench:
      return model + "--adapter --dtype --reference --device --kernels --threads --json --batch ";
    case Command::quantize:
      return model + "--dtype --threads --output ";
    case Command::merge:
      return model + "--adapter --threads --output ";
    case Command::init:
      return all + "--tokenizer --seed --threads --output ";
    case Command::inspect:
      return model + "--json ";
    case Command::tokenize:
      return model + "--tokenizer --prompt --file --json --jsonl ";
    case Command::presets:
      return all + "--json ";
    case Command::completion_bash:
      break;
  }
  return all;
}

}  // namespace paligemma::cli
