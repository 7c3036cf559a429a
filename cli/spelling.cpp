#include "cli/spelling.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <string_view>

#include "cli/foreign_flags.h"
#include "cli/options.h"

namespace paligemma::cli {
namespace {

struct Alias {
  std::string_view theirs;
  std::string_view ours;  // empty: the flag is accepted and means nothing here
};

constexpr std::array<Alias, 50> kAliases{{
    {"--model_path", "--model"},
    {"--model-id", "--model"},
    {"--weights", "--model"},
    {"-hf", "--hf-repo"},
    {"--tokenizer-file", "--tokenizer"},
    {"--image_file", "--image"},
    {"--image_file_path", "--image"},
    {"--prompt_file", "--file"},
    {"--max-new-tokens", "--max-tokens"},
    {"--max_new_tokens", "--max-tokens"},
    {"--n-predict", "--max-tokens"},
    {"--predict", "--max-tokens"},
    {"--max_tokens_to_generate", "--max-tokens"},
    {"--max_generated_tokens", "--max-tokens"},
    {"--sample-len", "--max-tokens"},
    {"--temp", "--temperature"},
    {"--top_p", "--top-p"},
    {"--top_k", "--top-k"},
    {"--do_sample", "--do-sample"},
    {"--cpu", "--device=cpu"},
    {"--only_cpu", "--device=cpu"},
    {"--timings", "--perf"},
    {"--tracing", "--trace"},
    {"--format=json", "--json"},
    {"--verbose", "-v"},
    {"--quiet", "-q"},
    {"--log-disable", "-q"},
    {"--no-display-prompt", ""},
    {"--skip_special_tokens", "--skip-special-tokens"},
    {"--hf_repo", "--hf-repo"},
    {"--max_tokens", "--max-tokens"},
    {"--list_devices", "--list-devices"},
    {"--torch_dtype", "--dtype"},
    {"--model_name_or_path", "--model"},
    {"--image_path", "--image"},
    {"--image-path", "--image"},
    {"--torch-dtype", "--dtype"},
    {"--min_p", "--min-p"},
    {"--repetition_penalty", "--repetition-penalty"},
    {"--no_repeat_ngram_size", "--no-repeat-ngram-size"},
    {"--suppress_tokens", "--suppress-tokens"},
    {"--num_beams", "--num-beams"},
    {"--prompt_lookup_num_tokens", "--prompt-lookup"},
    {"--length_penalty", "--length-penalty"},
    {"--early_stopping", "--early-stopping"},
    {"--num_return_sequences", "--num-return-sequences"},
    {"--penalty_alpha", "--penalty-alpha"},
    {"--lora", "--adapter"},
    {"--adapter-path", "--adapter"},
    {"--adapter_path", "--adapter"},
}};

const Alias* alias_of(std::string_view flag) {
  const auto* found = std::find_if(kAliases.begin(), kAliases.end(),
                                   [&](const Alias& alias) { return alias.theirs == flag; });
  return found == kAliases.end() ? nullptr : found;
}

// "True", "false", "1" ... as Python programs take them after a flag; nothing if it is neither.
const char* as_bool(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (word == "true" || word == "1") return "true";
  if (word == "false" || word == "0") return "false";
  return nullptr;
}

}  // namespace

std::vector<std::string> in_our_spelling(const std::vector<std::string>& arguments) {
  std::vector<std::string> ours;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    // A prompt may look like a flag.
    if (i > 0 && (arguments[i - 1] == "-p" || arguments[i - 1] == "--prompt")) {
      ours.push_back(arguments[i]);
      continue;
    }
    // "--format json" is one flag; "--flag=value" is two parts.
    std::string flag = arguments[i], value;
    const bool has_next = i + 1 < arguments.size();
    if (flag == "--format" && has_next) flag += "=" + arguments[++i];
    if (flag.starts_with("-") && !alias_of(flag)) {
      const auto equals = flag.find('=');
      if (equals != flag.npos) value = flag.substr(equals), flag.resize(equals);
    }
    if (const std::string instead = instead_of(flag); !instead.empty()) {
      throw UsageError(flag + " is not known here: " + instead);
    }
    // `finetune --lora 8` and `bench --train --lora 8` have a rank, where others have an adapter.
    const auto is_said = [&](const char* word) {
      return std::ranges::find(arguments, word) != arguments.end();
    };
    const bool is_rank = flag == "--lora" && (is_said("finetune") || is_said("--train"));
    if (const Alias* alias = is_rank ? nullptr : alias_of(flag)) {
      if (alias->ours.empty()) continue;
      flag = alias->ours;
    }

    // Python's switches take a word: "--do_sample False", "--only_cpu True".
    const bool is_ours = flag == "--do-sample" || flag == "--early-stopping";
    const bool is_switch = is_ours || arguments[i].starts_with("--only_cpu");
    const auto word_of = [&](const std::string& text) {
      return flag == "--early-stopping" && text == "never" ? "never" : as_bool(text);
    };
    const char* word = nullptr;
    if (is_switch && !value.empty()) word = word_of(value.substr(1));
    if (is_switch && value.empty() && has_next) {
      word = word_of(arguments[i + 1]);
      if (word) ++i;
    }
    if (word) {
      const std::string given = word;
      if (is_ours) ours.push_back(flag + "=" + given);
      if (flag == "--device=cpu" && given == "true") ours.push_back(flag);
      continue;
    }
    const bool is_short = flag.size() == 2 && !value.empty();  // "-n=5" is "-n 5"
    ours.push_back(is_short ? flag : flag + value);
    if (is_short) ours.push_back(value.substr(1));
  }
  return ours;
}

std::string alias_text() {
  std::map<std::string, std::string> by_flag;
  for (const Alias& alias : kAliases) {
    std::string& line = by_flag[alias.ours.empty() ? "(no effect)" : std::string(alias.ours)];
    line += (line.empty() ? "" : ", ") + std::string(alias.theirs);
  }
  std::string text = "Aliases:\n";
  for (const auto& [flag, aliases] : by_flag) text += "  " + flag + ": " + aliases + "\n";
  return text;
}

std::string nearest(const std::string& typed, const std::vector<std::string>& candidates) {
  // Edit distance, one row of the table at a time.
  const auto distance = [](const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 0; j < b.size(); ++j) {
        const std::size_t substitute = diagonal + (a[i] != b[j]);
        diagonal = row[j + 1];
        row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substitute});
      }
    }
    return row.back();
  };
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, typed.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t d = distance(typed, candidate);
    if (d < best_distance) best_distance = d, best = candidate;
  }
  return best;
}

}  // namespace paligemma::cli
