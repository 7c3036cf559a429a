#include "cli/perf.h"

#include <cstdio>
#include <string>

namespace paligemma::cli {
namespace {

void line(const std::string& name, double ms, std::size_t rows) {
  const double per_second = ms > 0 ? 1000.0 * static_cast<double>(rows) / ms : 0;
  std::fprintf(stderr, "%-8s %10.1f ms %10.2f t/s\n", name.c_str(), ms, per_second);
}

}  // namespace

void print_perf(const std::optional<VitTime>& vit, std::size_t prompt_tokens,
                const std::vector<GeneratedToken>& tokens) {
  double all_ms = 0;
  for (const GeneratedToken& token : tokens) all_ms += token.milliseconds;
  const double first_ms = tokens.front().milliseconds;
  const std::size_t further = tokens.size() - 1;
  if (vit) line("vit", vit->ms, static_cast<std::size_t>(vit->rows));
  line("pp" + std::to_string(prompt_tokens), first_ms, prompt_tokens);
  line("tg" + std::to_string(further), all_ms - first_ms, further);
}

}  // namespace paligemma::cli
