// What transformers and colpali-engine make of two pages and three queries: tests/golden/README.md, "ColPali".
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "colpali/encoder.h"
#include "paligemma/pipeline.h"
#include "tensor/json.h"
#include "tensor/mapped_file.h"
#include "tensor/npz.h"
#include "tensor/paths.h"
#include "tests/support/golden.h"
#include "tests/support/source_dir.h"

namespace paligemma::test {

inline const std::string kColpaliTokenizer =
    source_dir() + "/tests/golden/paligemma1/tokenizer.model";

// A folder of tests/golden/colpali.
struct ColpaliCase {
  std::string folder, text;
  JsonFields fields;
  NpzFile taps;

  explicit ColpaliCase(const std::string& name)
      : folder(source_dir() + "/tests/golden/colpali/" + name),
        text(MappedFile(folder + "/case.json").text()),
        fields(text, folder),
        taps(folder + "/taps.npz") {}

  const colpali::PromptForm& form() const { return *colpali::form_named(fields.text("form")); }
  PipelineOptions options() const {
    PipelineOptions options{.model = folder};
    options.tokenizer = kColpaliTokenizer;
    if (is_there(folder + "/adapter")) {
      options.model = folder + "/base";
      options.adapter = folder + "/adapter";
    }
    return options;
  }
  // The largest difference from a tap, as a part of its largest number.
  double error(const std::string& tap, std::span<const float> numbers) {
    const NpyArray expected = taps.read(tap);
    if (expected.numbers.size() != numbers.size()) return INFINITY;
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double difference = std::abs(double{numbers[i]} - double{expected.numbers[i]});
      if (!(difference <= worst)) worst = std::isnan(difference) ? INFINITY : difference;
      largest = std::max(largest, std::abs(double{expected.numbers[i]}));
    }
    return worst / largest;
  }
};

// Sums in another order; the largest error seen is 6e-6 of a tap.
inline constexpr double kColpaliSums = 1e-4;
// Four blocks whose sums, and attention whose weights, are rounded to bf16; the largest error seen is 0.022.
inline constexpr double kColpaliRoundings = 0.04;

// How others store one (tests/golden/README.md).
inline const auto kColpaliCases = ::testing::Values("hf", "hf_old", "adapter", "merged");
inline std::string colpali_case_name(const ::testing::TestParamInfo<const char*>& info) {
  return info.param;
}

// Every tap that the original wrote, within a part of its largest number.
template <class On>
void encodes_as_the_originals_do(On on, const std::string& name, std::optional<WeightFormat> dtype,
                                 double tolerance) {
  ColpaliCase golden(name);
  PipelineOptions options = golden.options();
  options.dtype = dtype;
  const Pipeline<On> pipeline(std::move(on), options);
  const auto expect = [&](const std::string& tap, const Recorder& recorder,
                          const std::string& ours) {
    EXPECT_LT(golden.error(tap, recorder.taps.at(ours).numbers), tolerance) << name << ": " << tap;
  };
  for (const std::string page : {"page0", "page1"}) {
    Recorder recorder;
    colpali::page_rows(pipeline, read_image(golden.folder + "/" + page + ".png").view(),
                       golden.form(), std::ref(recorder));
    for (const char* tap : {"img/head", "llm/final_norm", "embeddings"}) {
      expect(page + "/" + tap, recorder, tap);
    }
    expect(page + "/pixels", recorder, "img/pixels");
    for (Index i = 0; i < pipeline.config().text.layers; ++i) {
      const std::string block = "llm/block0" + std::to_string(i) + "/+mlp";
      expect(page + "/" + block, recorder, block);
    }
  }
  const auto queries = golden.fields.texts("queries");
  for (std::size_t i = 0; i < queries.size(); ++i) {
    Recorder recorder;
    colpali::query_rows(pipeline, queries[i], golden.form(), std::ref(recorder));
    expect("query" + std::to_string(i) + "/embeddings", recorder, "embeddings");
  }
}

}  // namespace paligemma::test
