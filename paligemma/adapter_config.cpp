#include "paligemma/adapter_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/json_reader.h"
#include "tensor/mapped_file.h"
#include "tensor/pattern.h"

namespace paligemma {
namespace {

constexpr double kMost = 1e9;  // of an alpha
constexpr Index kMostTokens = Index{1} << 24;

// What PEFT does with these is neither here nor a change of weights that could be read off the tensors.
constexpr std::array kUnsupported{"layer_replication", "alora_invocation_tokens", "use_qalora",
                                  "use_bdlora",        "monteclora_config",       "kasa_config"};

// JsonFields have forgotten the order.
std::vector<std::string> names_in_order(std::string_view text, const std::string& where,
                                        std::string_view field) {
  std::vector<std::string> names;
  JsonReader json(text, where);
  json.enter('{');
  while (const auto name = json.next_name()) {
    if (*name != field || json.next() != '{') {
      json.raw();
      continue;
    }
    json.enter('{');
    while (const auto key = json.next_name()) {
      names.emplace_back(*key);
      json.raw();
    }
  }
  return names;
}

// A list, or a list for each of several modules, of which only the embedding is one that PaliGemma has.
std::vector<Index> token_indices_of(const JsonFields& fields) {
  const char* name = "trainable_token_indices";
  if (fields.says_nothing(name)) return {};
  if (!fields.is_object(name)) return fields.whole_numbers(name, kMostTokens);
  const JsonFields modules = fields.object(name);
  if (modules.names().size() != 1) fields.fail(name, "names several modules; one is supported");
  return modules.whole_numbers(modules.names()[0], kMostTokens);
}

}  // namespace

double AdapterConfig::scale(const std::vector<std::string>& names, Index rank) const {
  double value = alpha;
  for (const auto& [key, its_alpha] : alpha_pattern) {
    try {
      // As re.match(rf"(.*\.)?({key})$", name) of Python.
      const Pattern pattern("\\A(.*\\.)?(" + key + ")$", key);
      const auto fits = [&](const std::string& name) { return pattern.is_in(name); };
      if (!std::any_of(names.begin(), names.end(), fits)) continue;
    } catch (const PatternError& error) {
      throw ModelFileError(where + ": alpha_pattern: " + error.what());
    }
    value = its_alpha;
    break;
  }
  const auto r = static_cast<double>(rank);
  return value / (rslora ? std::sqrt(r) : r);
}

AdapterConfig read_adapter_config(const std::filesystem::path& file) {
  const MappedFile mapped(file);
  const std::string_view text = mapped.text();
  const JsonFields fields(text, file.string());
  AdapterConfig config{file.string()};
  if (const std::string type = fields.text("peft_type"); type != "LORA") {
    fields.fail("peft_type", "\"" + type + "\" is not supported; only \"LORA\" is");
  }
  for (const char* name : kUnsupported) {
    if (!fields.says_nothing(name)) fields.fail(name, "is not supported");
  }
  config.alpha =
      fields.has("lora_alpha") ? fields.number("lora_alpha", -kMost, kMost) : config.alpha;
  config.rslora = fields.flag("use_rslora", false);
  config.dora = fields.flag("use_dora", false);
  if (config.dora && fields.flag("lora_bias", false)) {
    fields.fail("lora_bias", "is not supported together with use_dora, neither by PEFT");
  }
  if (fields.has("alpha_pattern")) {
    const JsonFields alphas = fields.object("alpha_pattern");
    for (const std::string& key : names_in_order(text, config.where, "alpha_pattern")) {
      config.alpha_pattern.emplace_back(key, alphas.number(key, -kMost, kMost));
    }
  }
  config.token_indices = token_indices_of(fields);
  return config;
}

}  // namespace paligemma
