// A web server on this machine, for tests of what downloads. It answers as the test says, and breaks off if that
// says so.
#pragma once

#include <arpa/inet.h>
#include <microhttpd.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace paligemma::test {

struct HttpRequest {
  std::string method, path;                    // as they came: %2F stays
  std::map<std::string, std::string> headers;  // their names in small letters

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

struct HttpAnswer {
  unsigned status = 200;
  std::map<std::string, std::string> headers = {};
  std::string body = {};
  std::size_t breaks_off_at = std::string::npos;  // bytes of the body
};

class HttpServer {
 public:
  using Handler = std::function<HttpAnswer(const HttpRequest&)>;

  explicit HttpServer(Handler handler) : handler_(std::move(handler)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    daemon_ = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, nullptr, nullptr, &on_request,
                               this, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_UNESCAPE_CALLBACK,
                               &as_it_came, nullptr, MHD_OPTION_END);
    if (!daemon_) throw std::runtime_error("no web server");
    port_ = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_BIND_PORT)->port;
  }
  ~HttpServer() { MHD_stop_daemon(daemon_); }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string address(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_);
  }
  // Those of this method, in their order.
  std::vector<HttpRequest> requests(const std::string& method) const {
    const std::lock_guard lock(mutex_);
    std::vector<HttpRequest> chosen;
    std::copy_if(requests_.begin(), requests_.end(), std::back_inserter(chosen),
                 [&](const HttpRequest& request) { return request.method == method; });
    return chosen;
  }

 private:
  static std::size_t as_it_came(void*, MHD_Connection*, char* text) { return std::strlen(text); }

  static MHD_Result on_header(void* headers, MHD_ValueKind, const char* name, const char* value) {
    std::string small = name;
    std::transform(small.begin(), small.end(), small.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    (*static_cast<std::map<std::string, std::string>*>(headers))[small] = value ? value : "";
    return MHD_YES;
  }

  static ssize_t on_block(void* given, std::uint64_t begin, char* buffer, std::size_t room) {
    const auto& answer = *static_cast<HttpAnswer*>(given);
    if (begin >= answer.breaks_off_at) return MHD_CONTENT_READER_END_WITH_ERROR;
    return static_cast<ssize_t>(
        answer.body.copy(buffer, std::min(room, answer.breaks_off_at - begin), begin));
  }

  static MHD_Result on_request(void* self, MHD_Connection* connection, const char* path,
                               const char* method, const char*, const char*, std::size_t*, void**) {
    auto& server = *static_cast<HttpServer*>(self);
    HttpRequest request{method, path, {}};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, &on_header, &request.headers);
    {
      const std::lock_guard lock(server.mutex_);
      server.requests_.push_back(request);
    }
    auto answer = std::make_unique<HttpAnswer>(server.handler_(request));
    const auto headers = answer->headers;
    const unsigned status = answer->status;
    const std::uint64_t size = answer->body.size();
    MHD_Response* response = MHD_create_response_from_callback(
        size, 1 << 12, &on_block, answer.release(),
        [](void* given) { delete static_cast<HttpAnswer*>(given); });
    for (const auto& [name, value] : headers) {
      MHD_add_response_header(response, name.c_str(), value.c_str());
    }
    const MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
  }

  Handler handler_;
  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;
  MHD_Daemon* daemon_ = nullptr;
  int port_ = 0;
};

}  // namespace paligemma::test
