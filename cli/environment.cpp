#include "cli/environment.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string_view>

namespace paligemma::cli {

std::string environment(const char* name, const std::string& absent) {
  const char* value = std::getenv(name);
  return value ? value : absent;
}

std::string with_home(const std::string& path) {
  if (!path.starts_with('~')) return path;
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string user = path.substr(1, end - 1);
  const passwd* known = user.empty() ? getpwuid(getuid()) : getpwnam(user.c_str());
  std::string home = known ? known->pw_dir : path.substr(0, end);
  if (user.empty()) home = environment("HOME", home);
  while (home.ends_with('/')) home.pop_back();
  const std::string whole = home + path.substr(end);
  return whole.empty() ? "/" : whole;
}

std::string with_variables(std::string path) {
  for (std::size_t at = 0; (at = path.find('$', at)) != path.npos;) {
    std::size_t end = at + 1;
    const std::size_t close = path.find('}', at);
    const bool braces = path.compare(end, 1, "{") == 0 && close != path.npos;
    if (braces) end = close;
    while (!braces && end < path.size() &&
           (std::isalnum(static_cast<unsigned char>(path[end])) || path[end] == '_')) {
      ++end;
    }
    const std::string name = path.substr(at + 1 + braces, end - at - 1 - braces);
    if (braces) ++end;
    const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
    if (value) path.replace(at, end - at, value);
    at = value ? at + std::string_view(value).size() : end;
  }
  return path;
}

}  // namespace paligemma::cli
