// Arguments: a JSON object that holds what a constructor was called with. Each is asked for by its name,
// and what nobody has asked for is refused by name: zeta swallows it, so that a misspelt option does
// nothing there and nobody learns of it.
//
// Read next: zeta/config_layers.h.
#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tensor/json.h"

namespace paligemma::zeta {

class Arguments {
 public:
  explicit Arguments(JsonFields fields) : fields_(std::move(fields)) {}

  bool has(const char* name) { return known(name).has(name); }
  bool flag(const char* name, bool absent = false) { return known(name).flag(name, absent); }
  std::string text(const char* name, const std::string& absent) {
    return known(name).text(name, absent);
  }
  std::vector<std::string> texts(const char* name) { return known(name).texts(name); }
  JsonFields object(const char* name) { return known(name).object(name); }
  // 1 to max. Without `absent` it must be there.
  Index size(const char* name, Index absent, Index max) {
    return known(name).size(name, absent, max);
  }
  Index size(const char* name, Index max) {
    if (!has(name)) fail(name, "missing");
    return size(name, 1, max);
  }
  // 0 to max.
  Index whole(const char* name, Index absent, Index max) {
    return has(name) ? fields_.whole(name, max) : absent;
  }
  double number(const char* name, double absent, double min, double max) {
    return has(name) ? fields_.number(name, min, max) : absent;
  }

  // Arguments that change nothing here: of training, or ignored by zeta too.
  void without_effect(std::initializer_list<std::string> names) { known_.insert(names); }
  // Arguments that would change the result, unless they have the value that leaves it as it is.
  void refuse(std::initializer_list<const char*> names, double neutral = 0) {
    for (const char* name : names) {
      if (!known(name).says_nothing(name, neutral)) fail(name, "not supported");
    }
  }
  // To be called when all have been asked for.
  void refuse_others(const std::string& constructor) const {
    for (const std::string& name : fields_.names()) {
      if (known_.contains(name)) continue;
      std::string problem = "not an argument of " + constructor;
      for (const std::string& other : known_) {
        if (other.ends_with("_" + name)) problem += "; there is " + other;
      }
      fail(name, problem);
    }
  }

  [[noreturn]] void fail(const std::string& name, const std::string& problem) const {
    fields_.fail(name, problem);
  }

 private:
  const JsonFields& known(const char* name) {
    known_.insert(name);
    return fields_;
  }

  JsonFields fields_;
  std::set<std::string> known_;
};

}  // namespace paligemma::zeta
