#include "tensor/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <utility>

namespace paligemma {
namespace {

constexpr std::uint32_t kMostSteps = 100000;  // of a search

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
  void operator()(pcre2_match_context* limits) const { pcre2_match_context_free(limits); }
};

PCRE2_SPTR bytes_of(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

[[noreturn]] void fail(const std::string& name, int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  throw PatternError(name + " is no regular expression that can be used: " +
                     reinterpret_cast<const char*>(text.data()));
}

}  // namespace

struct Pattern::Compiled {
  std::unique_ptr<pcre2_code, Free> code;
  std::unique_ptr<pcre2_match_context, Free> limits;
};

Pattern::Pattern(const std::string& expression, const std::string& name) : name_(name) {
  int error = 0;
  PCRE2_SIZE at = 0;
  auto compiled = std::make_shared<Compiled>();
  compiled->code.reset(
      pcre2_compile(bytes_of(expression), expression.size(), PCRE2_UTF, &error, &at, nullptr));
  if (!compiled->code) fail(name, error);
  compiled->limits.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(compiled->limits.get(), kMostSteps);
  compiled_ = std::move(compiled);
}

bool Pattern::is_all_of(std::string_view text) const {
  return matches(text, PCRE2_ANCHORED | PCRE2_ENDANCHORED);
}

bool Pattern::matches(std::string_view text, std::uint32_t options) const {
  const std::unique_ptr<pcre2_match_data, Free> match(
      pcre2_match_data_create_from_pattern(compiled_->code.get(), nullptr));
  const int found = pcre2_match(compiled_->code.get(), bytes_of(text), text.size(), 0, options,
                                match.get(), compiled_->limits.get());
  if (found < 0 && found != PCRE2_ERROR_NOMATCH) fail(name_, found);
  return found >= 0;
}

}  // namespace paligemma
