// The calls of tests/golden/zeta/cases.json, answered by any executor, and held against the archives beside it.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tensor/npz.h"
#include "tests/support/source_dir.h"
#include "zeta/config.h"
#include "zeta/generate.h"
#include "zeta/loss.h"
#include "zeta/weights.h"

namespace paligemma::test {

inline std::string zeta_folder() { return source_dir() + "/tests/golden/zeta/"; }

inline const nlohmann::ordered_json& zeta_cases() {
  static const nlohmann::ordered_json cases =
      nlohmann::ordered_json::parse(std::ifstream(zeta_folder() + "cases.json"))["cases"];
  return cases;
}

struct ZetaOutput {
  std::string of_case, name;
  std::size_t call;
  std::string what;    // "logits", "hidden", ...
  std::size_t number;  // among those of the call that are the same: of hidden rows, which
};

inline void PrintTo(const ZetaOutput& output, std::ostream* out) {
  *out << output.of_case << " " << output.name;
}

// All that tiers 1 and 2 hold, but for tables, which are the leaves' own. Where an output is a list, an entry
// stands for all arrays "name00", "name01", ...
inline std::vector<ZetaOutput> zeta_outputs() {
  std::vector<ZetaOutput> all;
  for (const auto& [of_case, entry] : zeta_cases().items()) {
    if (of_case == "tables") continue;
    const NpzFile file(zeta_folder() + of_case + ".npz");
    for (std::size_t call = 0; call < entry["calls"].size(); ++call) {
      for (const auto& [name, output] : entry["calls"][call]["outputs"].items()) {
        if (output["tier"] != 1 && output["tier"] != 2) continue;
        const std::string what = output["is"];
        if (file.arrays().count("out/" + name) != 0) {
          all.push_back({of_case, name, call, what, 0});
          continue;
        }
        for (std::size_t i = 0;; ++i) {
          const std::string numbered = name + (i < 10 ? "0" : "") + std::to_string(i);
          if (file.arrays().count("out/" + numbered) == 0) break;
          all.push_back({of_case, numbered, call, what, i});
        }
      }
    }
  }
  return all;
}

// The model of a call: what config.json would say, with what the call changes of it. One that is no PalmE is
// its half of one.
struct ZetaModel {
  bool is_palme = false;
  zeta::PalmEShape palme = {};
};

inline ZetaModel zeta_model(nlohmann::ordered_json config, const nlohmann::ordered_json& call) {
  const bool is_palme = config["architectures"][0] == "PalmE";
  if (call.contains("numerics")) config["numerics"] = call["numerics"];
  if (call.contains("change")) {
    (is_palme ? config : config["attn_layers"]).update(call["change"]);
  }
  const auto shape = zeta::parse_config(config.dump(), "cases.json").model;
  ZetaModel model{is_palme};
  if (is_palme) model.palme = std::get<zeta::PalmEShape>(shape);
  if (const auto* text = std::get_if<zeta::TransformerShape>(&shape)) model.palme.text = *text;
  if (const auto* vision = std::get_if<zeta::VisionShape>(&shape)) model.palme.vision = *vision;
  return model;
}

inline std::string name_of(const ::testing::TestParamInfo<ZetaOutput>& info) {
  std::string name = info.param.of_case + "_" + info.param.name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

// Collects taps of rows on the host, of sequence after sequence.
template <class On>
struct ZetaTaps {
  const On& on;
  std::map<std::string, std::vector<NpyArray>> taps = {};

  template <class T, int Rank, Space S>
  void operator()(const std::string& name, View<T, Rank, S> view) {
    NpyArray array{{view.shape().begin(), view.shape().end()}, {}};
    if constexpr (S == Space::host) {
      const Buffer<float, 1> numbers = [&] {
        Buffer<float, 1> y({view.count()}, unwritten);
        std::copy_n(view.data(), view.count(), y.view().data());
        return y;
      }();
      array.numbers.assign(numbers.view().data(), numbers.view().data() + view.count());
    } else {
      const auto numbers = to_host(on, view);
      array.numbers.assign(numbers.view().data(), numbers.view().data() + view.count());
    }
    taps[name].push_back(std::move(array));
  }
};

// One case and one executor.
template <class On>
class ZetaCase {
 public:
  using W = WeightsOn<On, float>;

  ZetaCase(const On& on, const std::string& name)
      : on_(on), file_(zeta_folder() + name + ".npz"), case_(zeta_cases()[name]) {}

  // What a call gives of `output`, all sequences one behind the other.
  NpyArray answer(const ZetaOutput& output) {
    const nlohmann::ordered_json& call = case_["calls"][output.call];
    const std::string kind = call.value("kind", "forward");
    if (case_["models"].begin().value()["architectures"][0] == "ViTransformerWrapper") {
      return classify(call, output);
    }
    if (kind == "generate") return words(call);
    if (kind == "loss") return loss(call);
    return forward(output);
  }

  NpyArray read(const std::string& name) { return file_.read(name); }
  float tolerance(const std::string& name) { return file_.read("tol/" + name).numbers[0]; }

 private:
  Index batch(const nlohmann::ordered_json& call) {
    return call.value("rows", file_.read("in/" + input(call)).shape[0]);
  }
  static std::string input(const nlohmann::ordered_json& call) {
    if (call.contains("x")) return call["x"];
    return call.contains("image") ? "image" : "x";
  }

  std::vector<TokenId> ids(const nlohmann::ordered_json& call, Index b) {
    const NpyArray array = file_.read("in/" + input(call));
    const Index T = array.shape[1];
    const auto row = array.numbers.begin() + b * T;
    return {row + call.value("from", Index{0}), row + call.value("to", T)};
  }
  Index length(const std::string& name, Index b) {
    return static_cast<Index>(file_.read("in/" + name).numbers[static_cast<std::size_t>(b)]);
  }
  // [T, E] of input `name`, or of sequence b of it.
  BufferOn<On, float, 2> rows(const std::string& name, Index b) {
    const NpyArray array = file_.read("in/" + name);
    const std::size_t axes = array.shape.size();
    const Index T = array.shape[axes - 2], E = array.shape[axes - 1];
    const View<const float, 2> here(array.numbers.data() + (axes == 3 ? b * T * E : 0), {T, E});
    BufferOn<On, float, 2> there({T, E}, unwritten);
    copy_from_host(on_, here, there.view());
    return there;
  }
  BufferOn<On, float, 3> pixels(const nlohmann::ordered_json& call, Index b) {
    const NpyArray array = file_.read("in/" + std::string(call["image"]));
    const Index C = array.shape[1], S = array.shape[2];
    Buffer<float, 3> here({S, S, C}, unwritten);
    for (Index i = 0; i < S * S * C; ++i) {
      here.view().data()[i] =
          array.numbers[static_cast<std::size_t>(b * S * S * C + i % C * S * S + i / C)];
    }
    BufferOn<On, float, 3> there({S, S, C}, unwritten);
    copy_from_host(on_, std::as_const(here).view(), there.view());
    return there;
  }

  zeta::WeightStore<On, float>& weights(const std::string& prefix) {
    return stores_.emplace_back(
        on_, [this, prefix](const std::string& name, const std::vector<Index>& shape) {
          NpyArray array = file_.read("w/" + prefix + name);
          EXPECT_EQ(array.shape, shape) << name;
          return std::move(array.numbers);
        });
  }
  ZetaModel shape(const nlohmann::ordered_json& call) {
    const std::string model = call.value("model", "");
    return zeta_model(case_["models"][model], call);
  }

  // The picture's rows, [L, D], and what its taps say.
  BufferOn<On, float, 2> see(const zeta::VisionShape& shape, const zeta::VisionWeights<W>& w,
                             const nlohmann::ordered_json& call, Index b, ZetaTaps<On>& taps,
                             bool classes) {
    zeta::VisionScratch<On> s(on_, shape, w);
    const auto picture = pixels(call, b);
    zeta::vision(on_, w, shape, picture.view(), s, Tap(taps));
    if (classes) {
      zeta::classify(on_, w, shape, s);
      taps("classes", s.classes.view());
    }
    return std::move(s.layers.normed);
  }

  NpyArray classify(const nlohmann::ordered_json& call, const ZetaOutput& output) {
    const ZetaModel model = shape(call);
    const auto w = zeta::load_vision<W>(model.palme.vision, "", weights(""));
    ZetaTaps<On> taps{on_};
    for (Index b = 0; b < batch(call); ++b) see(model.palme.vision, w, call, b, taps, true);
    return joined(taps.taps.at(output.what));
  }

  struct Loaded {
    ZetaModel model;
    zeta::VisionWeights<W> vision = {};
    zeta::TransformerWeights<W> text = {};
  };
  Loaded load(const nlohmann::ordered_json& call) {
    Loaded loaded{shape(call)};
    const std::string prefix = call.contains("model") ? std::string(call["model"]) + "." : "";
    auto& source = weights(prefix);
    if (loaded.model.is_palme) {
      if (call.contains("image")) {
        loaded.vision = zeta::load_vision<W>(loaded.model.palme.vision, "encoder.", source);
      }
      loaded.text = zeta::load_transformer<W>(loaded.model.palme.text, "decoder.net.", source);
    } else {
      loaded.text = zeta::load_transformer<W>(loaded.model.palme.text, "", source);
    }
    return loaded;
  }

  // Everything of a call for sequence b but the ids; the scratch has seen the context.
  struct Sequence {
    std::optional<BufferOn<On, float, 2>> context, position_rows, added, before;
    std::vector<TokenId> ids, positions;
    zeta::Words<On> words = {};
    std::optional<zeta::TransformerScratch<On>> s = {};
  };
  void prepare(const Loaded& loaded, const nlohmann::ordered_json& call, Index b, Index memories,
               bool keeps, ZetaTaps<On>& taps, Sequence& q) {
    const zeta::TransformerShape& text = loaded.model.palme.text;
    if (call.contains("image")) {
      q.context = see(loaded.model.palme.vision, loaded.vision, call, b, taps, false);
    }
    if (call.contains("context")) q.context = rows(call["context"], b);
    if (call.contains("sum_embeds"))
      q.words.added = (q.added = rows(call["sum_embeds"], b))->view();
    if (call.contains("prepend_embeds")) {
      q.words.before = (q.before = rows(call["prepend_embeds"], b))->view();
    }
    if (call.contains("pos")) {
      const NpyArray array = file_.read("in/" + std::string(call["pos"]));
      if (array.shape.size() == 1) {
        q.positions.assign(array.numbers.begin(), array.numbers.end());
        q.words.positions = q.positions;
      } else {
        q.words.position_rows = (q.position_rows = rows(call["pos"], b))->view();
      }
    }
    if (call.contains("mask")) q.words.looks.words = length(call["mask"], b);
    if (call.contains("context_mask")) {
      q.words.looks.context = KeyRange{0, length(call["context_mask"], b)};
    }
    const Index T = 32, S = q.context ? q.context->view().size(0) : 0;
    q.s.emplace(on_, text, loaded.text,
                zeta::Room{.rows = T,
                           .keys = T,
                           .memories = memories,
                           .context = S,
                           .keeps = keeps,
                           .remembers = text.memory_rows > 0},
                T);
    if (q.context) {
      zeta::take_context(on_, loaded.text.layers, text.layers, std::as_const(*q.context).view(),
                         q.s->layers);
    }
  }

  // Runs the call for all sequences; what it leaves to remember is `memories` of each.
  void run(std::size_t number, ZetaTaps<On>& taps, std::vector<zeta::Memories<On>>& left) {
    const nlohmann::ordered_json& call = case_["calls"][number];
    std::vector<zeta::Memories<On>> before;
    if (call.contains("mems")) {
      ZetaTaps<On> of_earlier{on_};
      run(call["mems"], of_earlier, before);
    }
    const Loaded loaded = load(call);
    const zeta::TransformerShape& text = loaded.model.palme.text;
    for (Index b = 0; b < batch(call); ++b) {
      zeta::Memories<On>* memories =
          before.empty() ? nullptr : &before[static_cast<std::size_t>(b)];
      if (memories != nullptr) zeta::shift_memories(text, *memories);
      Sequence q;
      prepare(loaded, call, b, memories == nullptr ? 0 : memories->length(), false, taps, q);
      q.ids = ids(call, b);
      q.words.ids = q.ids;
      const auto rows =
          zeta::transformer(on_, loaded.text, text, q.words, memories, *q.s, Tap(taps));
      taps("embeddings", rows);
      zeta::logits(on_, loaded.text, rows, *q.s, Tap(taps));
      if (text.memory_rows == 0) continue;
      left.push_back(zeta::remember(on_, text, memories, rows.size(0) + text.memory_tokens, *q.s));
      for (std::size_t i = 0; i < left.back().rows.size(); ++i) {
        taps("mems" + std::to_string(i), left.back().rows[i].view());
      }
    }
  }

  // What all outputs of a call are made of, computed once.
  const ZetaTaps<On>& taps_of(std::size_t call) {
    const auto known = taps_.find(call);
    if (known != taps_.end()) return known->second;
    ZetaTaps<On>& taps = taps_.emplace(call, ZetaTaps<On>{on_}).first->second;
    std::vector<zeta::Memories<On>> left;
    run(call, taps, left);
    return taps;
  }

  NpyArray forward(const ZetaOutput& output) {
    const ZetaTaps<On>& taps = taps_of(output.call);
    const auto blocks = [&](const std::string& suffix) {  // taps of blocks, in order
      std::vector<std::string> names;
      for (const auto& [name, arrays] : taps.taps) {
        if (name.starts_with("block") && name.substr(7).starts_with(suffix)) names.push_back(name);
      }
      return names;
    };
    if (output.what == "hidden") {
      auto names = blocks("/+");
      names.insert(names.begin(), "embedded");
      return joined(taps.taps.at(names.at(output.number)));
    }
    if (output.what == "attention") {
      return heads_first(joined(taps.taps.at(blocks("/attention").at(output.number))));
    }
    if (output.what == "z_loss") {
      std::vector<NpyArray> sums;
      for (const std::string& name : blocks("/log_sum_exp"))
        sums.push_back(joined(taps.taps.at(name)));
      return {{1}, {z_loss(sums)}};
    }
    if (output.what == "mems") return joined(taps.taps.at("mems" + std::to_string(output.number)));
    return joined(taps.taps.at(output.what));
  }

  NpyArray words(const nlohmann::ordered_json& call) {
    const Loaded loaded = load(call);
    std::vector<NpyArray> all;
    for (Index b = 0; b < batch(call); ++b) {
      Sequence q;
      ZetaTaps<On> taps{on_};
      prepare(loaded, call, b, 0, zeta::can_keep(loaded.model.palme.text.layers), taps, q);
      zeta::GenerateOptions options{.max_tokens = call["steps"]};
      if (call.contains("eos")) {
        options.end_tokens = {
            static_cast<TokenId>(file_.read("out/" + std::string(call["eos"])).numbers[0])};
      }
      auto made = zeta::generate(
          on_, loaded.text, loaded.model.palme.text, ids(call, b),
          static_cast<const zeta::Memories<On>*>(nullptr), *q.s, options,
          [](const GeneratedToken&) { return true; }, NoTap());
      all.push_back({{static_cast<Index>(made.size())}, {made.begin(), made.end()}});
    }
    return joined(all);
  }

  NpyArray loss(const nlohmann::ordered_json& call) {
    const Loaded loaded = load(call);
    double sum = 0, count = 0;
    for (Index b = 0; b < batch(call); ++b) {
      Sequence q;
      ZetaTaps<On> taps{on_};
      prepare(loaded, call, b, 0, false, taps, q);
      const std::vector<TokenId> all = ids(call, b);
      const TokenId ignored = call.value("ignore_index", zeta::kIgnored);
      q.ids.assign(all.begin(), all.end() - 1);
      std::replace(q.ids.begin(), q.ids.end(), ignored, call.value("pad_value", 0));
      q.words.ids = q.ids;
      const auto rows =
          zeta::transformer(on_, loaded.text, loaded.model.palme.text, q.words,
                            static_cast<const zeta::Memories<On>*>(nullptr), *q.s, NoTap());
      const auto y = zeta::logits(on_, loaded.text, rows, *q.s, NoTap());
      const View<const TokenId, 1> targets(all.data() + 1, {rows.size(0)});
      const auto counted =
          static_cast<double>(rows.size(0) - std::count(all.begin() + 1, all.end(), ignored));
      sum += counted * zeta::cross_entropy(on_, View<const float, 2, zeta::kSpaceOf<On>>(y),
                                           targets, ignored);
      count += counted;
    }
    return {{1}, {static_cast<float>(sum / count)}};
  }

  static NpyArray joined(const std::vector<NpyArray>& arrays) {
    NpyArray all{{static_cast<Index>(arrays.size())}, {}};
    all.shape.insert(all.shape.end(), arrays[0].shape.begin(), arrays[0].shape.end());
    for (const NpyArray& array : arrays) {
      all.numbers.insert(all.numbers.end(), array.numbers.begin(), array.numbers.end());
    }
    return all;
  }
  // [B, T, N, S] as [B, N, T, S]
  static NpyArray heads_first(const NpyArray& maps) {
    const Index B = maps.shape[0], T = maps.shape[1], N = maps.shape[2], S = maps.shape[3];
    NpyArray y{{B, N, T, S}, {}};
    for (Index i = 0; i < B * N * T * S; ++i) {
      const Index s = i % S, t = i / S % T, n = i / S / T % N, b = i / S / T / N;
      y.numbers.push_back(maps.numbers[static_cast<std::size_t>(((b * T + t) * N + n) * S + s)]);
    }
    return y;
  }
  // Of [B, T, N] for each attention: all rows of the batch count alike.
  static float z_loss(const std::vector<NpyArray>& sums) {
    std::vector<View<const float, 2>> views;
    for (const NpyArray& sum : sums) {
      views.push_back({sum.numbers.data(), {sum.shape[0] * sum.shape[1], sum.shape[2]}});
    }
    return static_cast<float>(zeta::z_loss(views));
  }

  const On& on_;
  NpzFile file_;
  const nlohmann::ordered_json& case_;
  std::deque<zeta::WeightStore<On, float>> stores_;
  std::map<std::size_t, ZetaTaps<On>> taps_;
};

// An output within its stored tolerance.
template <class On>
void expect_golden(ZetaCase<On>& of_case, const ZetaOutput& output) {
  const NpyArray actual = of_case.answer(output), expected = of_case.read("out/" + output.name);
  ASSERT_EQ(actual.numbers.size(), expected.numbers.size()) << output.name;
  const bool whole = output.what == "generated" || output.what == "one_axis";
  const float tolerance = whole ? 0 : of_case.tolerance(output.name);
  double worst = 0;
  for (std::size_t i = 0; i < actual.numbers.size(); ++i) {
    const double error = std::abs(static_cast<double>(actual.numbers[i]) - expected.numbers[i]);
    if (!(error <= worst)) worst = std::isnan(error) ? INFINITY : error;
  }
  EXPECT_LE(worst, tolerance) << output.name;
}

// All outputs of a case.
template <class On>
void expect_golden(const On& on, const std::string& name) {
  ZetaCase<On> of_case(on, name);
  for (const ZetaOutput& output : zeta_outputs()) {
    if (output.of_case == name) expect_golden(of_case, output);
  }
}

inline std::vector<std::string> zeta_case_names() {
  std::vector<std::string> names;
  for (const ZetaOutput& output : zeta_outputs()) {
    if (names.empty() || names.back() != output.of_case) names.push_back(output.of_case);
  }
  return names;
}

inline std::string name_of_case(const ::testing::TestParamInfo<std::string>& info) {
  return info.param;
}

}  // namespace paligemma::test
