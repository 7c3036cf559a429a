#include "paligemma/adapter_config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cmath>
#include <memory>

#include "tensor/errors.h"
#include "tensor/json.h"
#include "tensor/json_reader.h"
#include "tensor/mapped_file.h"

namespace paligemma {
namespace {

constexpr double kMost = 1e9;  // of an alpha
constexpr Index kMostTokens = Index{1} << 24;
constexpr std::uint32_t kMostSteps = 100000;  // of a search for a pattern

// What PEFT does with these is neither here nor a change of weights that could be read off the tensors.
constexpr std::array kUnsupported{"layer_replication", "alora_invocation_tokens", "use_qalora",
                                  "use_bdlora",        "monteclora_config",       "kasa_config"};

// As re.match(rf"(.*\.)?({key})$", name) of Python.
class Pattern {
 public:
  Pattern(const std::string& key, const std::string& where)
      : where_(where + ": alpha_pattern: " + key) {
    const std::string whole = "(.*\\.)?(" + key + ")$";
    int error = 0;
    PCRE2_SIZE at = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(whole.data()), whole.size(),
                              PCRE2_ANCHORED | PCRE2_UTF, &error, &at, nullptr));
    if (!code_) fail(error);
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
    limits_.reset(pcre2_match_context_create(nullptr));
    pcre2_set_match_limit(limits_.get(), kMostSteps);
  }

  bool matches(const std::string& name) const {
    const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(name.data()),
                                  name.size(), 0, 0, match_.get(), limits_.get());
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) fail(found);
    return found >= 0;
  }

 private:
  [[noreturn]] void fail(int error) const {
    std::array<PCRE2_UCHAR, 256> text{};
    pcre2_get_error_message(error, text.data(), text.size());
    throw ModelFileError(where_ + " is no regular expression that can be used: " +
                         reinterpret_cast<const char*>(text.data()));
  }

  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
    void operator()(pcre2_match_context* limits) const { pcre2_match_context_free(limits); }
  };
  std::string where_;
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_data, Free> match_;
  std::unique_ptr<pcre2_match_context, Free> limits_;
};

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
    const Pattern pattern(key, where);
    bool found = false;
    for (const std::string& name : names) found = found || pattern.matches(name);
    if (!found) continue;
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
