// Floats as JSON.
#pragma once

#include "tensor/json.h"
#include "tensor/view.h"

namespace paligemma::cli {

// Each the shortest text that is this float and no other; null for what is no number.
Json list_of(View<const float, 1> numbers);

Json lists_of(View<const float, 2> rows);

}  // namespace paligemma::cli
