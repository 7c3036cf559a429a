// Any bytes as a line of --jsonl.
#include <cstdint>
#include <string_view>

#include "cli/job.h"
#include "tensor/json.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const cli::Job job = cli::read_job(text, 7, "folder");
  require(job.line == 7);
  require(!job.error.empty() || (!job.files.empty() && job.files.size() == job.images.size()));
  require(job.max_tokens.value_or(1) >= 1);
  if (!job.id.empty()) JsonFields(object({{"id", Json::of_text(job.id)}}).text(), "an answer");
  return 0;
}
