// SPDX-License-Identifier: BSD-3-Clause
#include "pbstoken/base/result.h"

#include <cstring>

namespace pbstoken {

namespace {

std::string_view reason(const Error &error) {
  if (error.why != nullptr) {
    return error.why;
  }
  if (error.saved_errno == 0) {
    return {};
  }
  // This is not strerror: it would translate, from the host's locale files.
  const char *text = strerrordesc_np(error.saved_errno);
  return text != nullptr ? text : "unknown error";
}

}  // namespace

PathText directory_of(const PathText &path) {
  const std::size_t slash = path.view().rfind('/');
  return PathText(slash == 0 ? "/" : slice(path.view(), 0, slash));
}

std::string_view last_component(const PathText &path) {
  return slice(path.view(), path.view().rfind('/') + 1);
}

Error system_error(const char *what, std::string_view where) {
  const int saved = errno;
  Error error = plain_error(saved == ENOMEM   ? Errc::kNoMemory
                            : saved == ENOENT ? Errc::kNotFound
                                              : Errc::kSystem,
                            what, where);
  error.saved_errno = saved;
  return error;
}

Error plain_error(Errc code, const char *what, std::string_view where,
                  const char *why) {
  Error error;
  error.code = code;
  error.what = what;
  error.why = why;
  error.where.append_escaped(where);
  return error;
}

Error no_memory(const char *what, std::string_view where) {
  return plain_error(Errc::kNoMemory, what, where, "out of memory");
}

ErrorText describe(const Error &error) {
  ErrorText text;
  if (error.line != 0) {
    text.append(error.where.view()).append(":").append(error.line);
    if (error.column != 0) {
      text.append(":").append(error.column);
    }
    text.append(": ");
    if (!error.subject.empty()) {
      text.append(error.subject.view()).append(": ");
    }
    text.append(error.what);
  } else {
    text.append(error.what);
    if (!error.subject.empty()) {
      text.append(text.empty() ? "" : " ").append(error.subject.view());
    }
    if (!error.where.empty()) {
      text.append(" ").append(error.where.view());
    }
  }
  const std::string_view why = reason(error);
  if (!why.empty()) {
    text.append(": ").append(why);
  }
  return text;
}

}  // namespace pbstoken
