#include "train/curve.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>
#include <vector>

namespace paligemma {
namespace {

constexpr double kWidth = 720, kHeight = 360, kLeft = 56, kRight = 16, kTop = 36, kBottom = 40;
constexpr double kLeast = 1e-6;  // what a loss is drawn as, at least

std::string text_of(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", number);
  return text;
}

std::string escaped(const std::string& text) {
  std::string xml;
  for (const char letter : text) {
    if (letter == '&') {
      xml += "&amp;";
    } else if (letter == '<') {
      xml += "&lt;";
    } else if (letter == '>') {
      xml += "&gt;";
    } else {
      xml += letter;
    }
  }
  return xml;
}

// From steps and losses to places in the picture.
class Axes {
 public:
  Axes(double steps, double low, double high) : steps_(steps) {
    low_ = std::floor(std::log10(std::max(low, kLeast)));
    high_ = std::max(low_ + 1, std::ceil(std::log10(std::max(high, kLeast))));
  }
  double x(double step) const {
    return kLeft + (kWidth - kLeft - kRight) * step / std::max(1.0, steps_);
  }
  double y(double loss) const {
    const double up = (std::log10(std::max(loss, kLeast)) - low_) / (high_ - low_);
    return kHeight - kBottom - (kHeight - kTop - kBottom) * up;
  }

  std::string grid() const {
    std::string svg;
    for (double power = low_; power <= high_; ++power) {
      for (const double factor : {1.0, 2.0, 5.0}) {
        const double loss = factor * std::pow(10, power);
        if (power == high_ && factor > 1) break;
        const std::string height = text_of(y(loss));
        svg += "<path class=\"grid\" d=\"M" + text_of(kLeft) + " " + height + "H" +
               text_of(kWidth - kRight) + "\"/><text class=\"end\" x=\"" + text_of(kLeft - 6) +
               "\" y=\"" + text_of(y(loss) + 4) + "\">" + text_of(loss) + "</text>\n";
      }
    }
    double last = -1;
    for (int i = 0; i <= 4; ++i) {
      const double step = std::round(steps_ * i / 4);
      if (step == std::exchange(last, step)) continue;
      svg += "<text class=\"middle\" x=\"" + text_of(x(step)) + "\" y=\"" +
             text_of(kHeight - kBottom + 18) + "\">" + text_of(step) + "</text>\n";
    }
    return svg;
  }

 private:
  double steps_, low_, high_;
};

struct Point {
  double step, loss;
};

// The losses, and their mean over the last `window` of them.
struct Curve {
  std::vector<Point> each, mean, checked;
  double low = std::numeric_limits<double>::infinity(), high = 0;

  explicit Curve(const RunState& state) {
    const std::size_t window = std::max<std::size_t>(1, state.losses.size() / 20);
    double sum = 0;
    for (std::size_t i = 0; i < state.losses.size(); ++i) {
      const double loss = state.losses[i], step = static_cast<double>(i + 1);
      sum += loss - (i >= window ? state.losses[i - window] : 0.0f);
      add(each, {step, loss});
      add(mean, {step, sum / static_cast<double>(std::min(i + 1, window))});
    }
    for (const auto& [step, loss] : state.validations) add(checked, {step, loss});
    if (!(low <= high)) low = high = 1;
  }

 private:
  // What is no number has no place in the picture.
  void add(std::vector<Point>& points, Point point) {
    if (!std::isfinite(point.loss)) return;
    points.push_back(point);
    low = std::min(low, point.loss);
    high = std::max(high, point.loss);
  }
};

std::string line(const Axes& axes, const std::vector<Point>& points, const char* kind) {
  std::string path;
  for (const Point& point : points) {
    path += (path.empty() ? "M" : "L") + text_of(axes.x(point.step)) + " " +
            text_of(axes.y(point.loss));
  }
  return "<path class=\"" + std::string(kind) + "\" d=\"" + path + "\"/>\n";
}

}  // namespace

std::string curve_svg(const RunState& state, const std::string& title) {
  const Curve curve(state);
  const Axes axes(static_cast<double>(state.losses.size()), curve.low, curve.high);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + text_of(kWidth) +
                    " " + text_of(kHeight) +
                    "\" font-family=\"sans-serif\" font-size=\"12\">\n"
                    "<style>text{fill:#444}.end{text-anchor:end}.middle{text-anchor:middle}"
                    "path{fill:none}.grid{stroke:#ddd}.each{stroke:#9bbcf0}"
                    ".mean{stroke:#1a56b0;stroke-width:2}.checked{stroke:#d9480f;stroke-width:2}"
                    "circle{fill:#d9480f}</style>\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
                    "<text x=\"" +
                    text_of(kLeft) + "\" y=\"20\">" + escaped(title) + "</text>\n";
  svg += axes.grid() + line(axes, curve.each, "each") + line(axes, curve.mean, "mean");
  if (!curve.checked.empty()) svg += line(axes, curve.checked, "checked");
  for (const Point& point : curve.checked) {
    svg += "<circle r=\"3\" cx=\"" + text_of(axes.x(point.step)) + "\" cy=\"" +
           text_of(axes.y(point.loss)) + "\"/>\n";
  }
  return svg + "<text class=\"end\" x=\"" + text_of(kWidth - kRight) + "\" y=\"" +
         text_of(kHeight - 6) + "\">step</text>\n</svg>\n";
}

}  // namespace paligemma
