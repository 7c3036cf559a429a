// What an error says, since an error that does not name its cause is half an error.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace paligemma::test {

// The message of the Error that `action` throws. If it throws none, the test fails.
template <class Error, class Action>
std::string error_text(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// Passes if `text` holds each of `parts`.
template <class... Parts>
::testing::AssertionResult holds(const std::string& text, const Parts&... parts) {
  for (const std::string& part : {std::string(parts)...}) {
    if (text.find(part) == text.npos) {
      return ::testing::AssertionFailure() << "\"" << text << "\" does not say \"" << part << "\"";
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace paligemma::test
