// SPDX-License-Identifier: BSD-3-Clause
// A store's configuration: what is taken has values within their bounds, and
// means the same written anew; what is refused is so by the line that the error
// names; every line that is neither blank nor a comment counts.
#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "pbstoken/os/accounts.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// In place of those that read /etc.
Result<uid_t> find_user(const char *name) {
  return std::string_view(name) == "backup"
             ? Result<uid_t>(34)
             : plain_error(Errc::kNotFound, "cannot find", "/etc/passwd");
}

Result<gid_t> find_group(const char *name) {
  return std::string_view(name) == "pbstoken"
             ? Result<gid_t>(997)
             : plain_error(Errc::kNotFound, "cannot find", "/etc/group");
}

Result<Buffer> members_of(gid_t /*gid*/) {
  return Buffer();
}

namespace fuzz {
namespace {

const PathText kPath("/etc/pbstoken/pbs.conf");
constexpr std::string_view kBlank = " \t\r";

Result<Store> parse(std::string_view text, Names names = Names::kLookedUp) {
  return parse_store("pbs", text, kPath, names);
}

void require_path(const PathText &path, bool may_be_empty) {
  const std::string text(path.view());
  if (text.empty()) {
    require(may_be_empty, "a path that is needed is there");
    return;
  }
  require(!path.truncated() && text.size() <= kMaxPath &&
              text.find('\0') == std::string::npos,
          "a path is whole");
  const std::string around = text + "/";
  require(text[0] == '/' && around.find("//") == std::string::npos &&
              around.find("/./") == std::string::npos &&
              around.find("/../") == std::string::npos,
          "a path is absolute and plain");
}

void require_bounds(const Store &store) {
  require_path(store.token_shadow, false);
  require_path(store.lock_file, false);
  require_path(store.user_cfg, true);
  require_path(store.user_lock, store.user_cfg.empty());
  require_path(store.version_cache, true);
  require(store.file_mode <= 0777 && store.cache_ttl <= 86400 &&
              (!store.cache_slots ||
               (*store.cache_slots >= 1 && *store.cache_slots <= 1048576)) &&
              store.fail_limit <= 1048576 && store.fail_window >= 1 &&
              store.fail_window <= 86400 &&
              store.max_hashes.value_or(0) <= 1024,
          "numbers are within their bounds");
  for (const Principal *one : {&store.file_owner, &store.file_group,
                               &store.verify_group, &store.admin_group}) {
    // A number counts, however it was written.
    require(one->id ? *one->id != 0xffffffff
                    : !one->name.truncated() &&
                          one->name.view().find('\0') == std::string_view::npos,
            "a user or group is whole, and none that means nobody");
  }
}

std::string text_of_principal(const Principal &one) {
  return one.id ? std::to_string(*one.id) : std::string(one.name.view());
}

std::string written(const Store &store) {
  std::map<std::string, std::string> lines;
  lines["token_shadow"] = store.token_shadow.view();
  lines["lock_file"] = store.lock_file.view();
  lines["user_cfg"] = store.user_cfg.view();
  lines["version_cache"] = store.version_cache.view();
  lines["file_mode"].resize(8);
  lines["file_mode"].resize(static_cast<std::size_t>(
      std::snprintf(lines["file_mode"].data(), 8, "%o", store.file_mode)));
  lines["cache"] = store.cache ? "yes" : "no";
  lines["cache_ttl"] = std::to_string(store.cache_ttl);
  lines["cache_slots"] =
      store.cache_slots ? std::to_string(*store.cache_slots) : "auto";
  lines["look"] = store.look ? "yes" : "no";
  if (store.has_shm_key) {
    lines["shm_key"] = "1";
  }
  if (!store.user_lock.empty()) {
    lines["user_lock"] = store.user_lock.view();
  }
  lines["shared_fs"] = store.shared_fs ? "yes" : "no";
  lines["lease"] = std::to_string(store.lease);
  lines["member_rotate"] = store.member_rotate ? "yes" : "no";
  lines["fail_limit"] = std::to_string(store.fail_limit);
  lines["fail_window"] = std::to_string(store.fail_window);
  // The names of the defaults are not looked up, and may not be there.
  for (const auto &[key, one] :
       {std::pair("file_owner", &store.file_owner),
        std::pair("file_group", &store.file_group),
        std::pair("verify_group", &store.verify_group),
        std::pair("admin_group", &store.admin_group)}) {
    if (one->id) {
      lines[key] = text_of_principal(*one);
    } else if (one->is_nobody()) {
      lines[key] = "";
    }
  }
  if (store.max_hashes) {
    lines["max_hashes"] = std::to_string(*store.max_hashes);
  }
  std::string text;
  for (const auto &[key, value] : lines) {
    text.append(key).append("=").append(value).append("\n");
  }
  return text;
}

bool same(const Principal &a, const Principal &b) {
  return a.id == b.id && (a.id || a.name.view() == b.name.view());
}

void require_same(const Store &store, const std::string &text,
                  const char *property) {
  const auto other = parse(text);
  require(
      other && store.token_shadow.view() == other->token_shadow.view() &&
          store.lock_file.view() == other->lock_file.view() &&
          store.user_cfg.view() == other->user_cfg.view() &&
          store.version_cache.view() == other->version_cache.view() &&
          store.file_mode == other->file_mode && store.cache == other->cache &&
          store.cache_ttl == other->cache_ttl &&
          store.cache_slots == other->cache_slots &&
          store.has_shm_key == other->has_shm_key &&
          store.look == other->look &&
          store.user_lock.view() == other->user_lock.view() &&
          store.member_rotate == other->member_rotate &&
          store.shared_fs == other->shared_fs && store.lease == other->lease &&
          store.fail_limit == other->fail_limit &&
          store.fail_window == other->fail_window &&
          store.max_hashes == other->max_hashes &&
          same(store.file_owner, other->file_owner) &&
          same(store.file_group, other->file_group) &&
          same(store.verify_group, other->verify_group) &&
          same(store.admin_group, other->admin_group),
      property);
}

bool counts(std::string_view line) {
  line = line.substr(0, line.find('#'));
  return line.find_first_not_of(kBlank) != std::string_view::npos;
}

// Each line that counts, twice, is a key given twice; without its '=' it is
// none.
void require_every_line_counts(std::string_view text) {
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string line(text.substr(start, end - start));
    start = end + 1;
    if (counts(line)) {
      std::string whole(text);
      require(!parse(whole + "\n" + line), "no key is taken twice");
      std::string without = line.substr(0, line.find('='));
      require(!parse(without), "a key needs a value");
    }
  }
}

void test_refused(std::string_view text, const Error &error) {
  require(error.code == Errc::kBadConfiguration && error.line >= 1,
          "what is refused is a bad configuration");
  std::size_t start = 0;
  for (std::uint64_t line = 1; line < error.line; ++line) {
    start = text.find('\n', start);
    require(start != std::string_view::npos, "the line is in the text");
    ++start;
  }
  const std::size_t end = std::min(text.find('\n', start), text.size());
  // Names are looked up when there is no other fault.
  require(static_cast<bool>(parse(text.substr(0, start), Names::kUnknown)),
          "the first bad line is named");
  require(!parse(text.substr(0, end)), "that line is bad");
  require(counts(text.substr(start, end - start)), "a comment is never bad");
}

std::string with_blanks(std::string_view text) {
  std::string more = "# first\n\t \r\n  ";
  for (const char c : text) {
    if (c == '\n') {
      more.append(" #= x\n\n \t");
    } else {
      more.push_back(c);
    }
  }
  return more;
}

}  // namespace
}  // namespace fuzz
}  // namespace pbstoken

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data,
                                      std::size_t size) {
  using namespace pbstoken::fuzz;
  const std::string_view text = text_of(data, size);
  const auto store = parse(text);
  if (!store) {
    test_refused(text, store.error());
    return 0;
  }
  require_bounds(*store);
  require_same(*store, written(*store), "what is written anew means the same");
  require_same(*store, with_blanks(text), "blanks and comments do not matter");
  require_every_line_counts(text);
  return 0;
}
