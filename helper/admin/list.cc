// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include "admin/commands.h"
#include "admin/report.h"
#include "io/message.h"
#include "io/output.h"
#include "pbstoken/base/vector.h"
#include "pbstoken/os/clock.h"
#include "pbstoken/store/stored_hash.h"
#include "pbstoken/store/token_shadow.h"
#include "pbstoken/store/user_cfg.h"

namespace pbstoken {

namespace {

using Section = UserCfg::Section;

// What token.shadow has of a token.
struct StoredToken {
  std::string_view token_id;
  std::string_view method;  // empty: the stored hash is of no use
  std::size_t position;     // in the file
};

// What is known of one token: a secret, a section, or both.
struct Row {
  std::string_view token_id;
  const StoredToken *secret;
  const Section *section;
};

// Sorted by id, one each: of several the last one counts.
Result<List<StoredToken>> stored_tokens(const TokenShadow &shadow) {
  List<StoredToken> secrets;
  for (const TokenShadow::Entry &entry : shadow.entries()) {
    if (parse_token_id(entry.token_id) &&
        !secrets.append({.token_id = entry.token_id,
                         .method = hash_method(entry.stored_hash),
                         .position = secrets.items().size()})) {
      return no_memory("cannot list tokens");
    }
  }
  const auto all = secrets.mutable_items();
  std::sort(all.begin(), all.end(),
            [](const StoredToken &a, const StoredToken &b) {
              return std::tie(a.token_id, a.position) <
                     std::tie(b.token_id, b.position);
            });
  List<StoredToken> last;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool replaced =
        i + 1 < all.size() && all[i].token_id == all[i + 1].token_id;
    if (!replaced && !last.append(all[i])) {
      return no_memory("cannot list tokens");
    }
  }
  return last;
}

// Merges the two, both of which are sorted.
Result<List<Row>> merge(std::span<const StoredToken> secrets,
                        std::span<const Section> sections) {
  List<Row> rows;
  while (!secrets.empty() || !sections.empty()) {
    const bool has_secret =
        !secrets.empty() &&
        (sections.empty() || secrets.front().token_id <= sections.front().id);
    const bool has_section =
        !sections.empty() &&
        (secrets.empty() || sections.front().id <= secrets.front().token_id);
    const Row row = {
        .token_id = has_secret ? secrets.front().token_id : sections.front().id,
        .secret = has_secret ? &secrets.front() : nullptr,
        .section = has_section ? &sections.front() : nullptr};
    if (!rows.append(row)) {
      return no_memory("cannot list tokens");
    }
    secrets = secrets.subspan(has_secret ? 1 : 0);
    sections = sections.subspan(has_section ? 1 : 0);
  }
  return rows;
}

class Listing {
 public:
  // cfg: null without account data.
  Listing(std::span<const Row> rows, const UserCfg *cfg)
      : rows_(rows), cfg_(cfg), now_(realtime_now() / kNanosecondsPerSecond) {}

  [[nodiscard]] bool print(OutputFormat format) const {
    return format == OutputFormat::kText ? print_table() : print_json(format);
  }

 private:
  // Whether the token counts, and the first thing to mend if not.
  [[nodiscard]] std::string_view state_of(const Row &row) const {
    if (row.secret == nullptr) {
      return "no-secret";
    }
    if (row.secret->method.empty()) {
      return "bad-hash";
    }
    if (cfg_ == nullptr) {
      return "active";
    }
    const AccountVerdict verdict = cfg_->judge(*parse_token_id(row.token_id));
    switch (verdict.status) {
      case AccountStatus::kNoUser:
        // user.cfg may know the token's section, or neither of the two.
        return row.section == nullptr ? "no-section" : "no-user";
      case AccountStatus::kNoToken:
        return "no-section";
      case AccountStatus::kDisabledUser:
        return "user-disabled";
      case AccountStatus::kDisabledToken:
        return "disabled";
      case AccountStatus::kAllowed:
        break;
    }
    return answer_at(verdict, now_) == AccountAnswer::kAllowed ? "active"
                                                               : "expired";
  }

  [[nodiscard]] bool print_table() const {
    constexpr std::array<std::string_view, 6> kTitles = {
        "TOKENID", "METHOD", "ENABLED", "EXPIRES", "STATE", "COMMENT"};
    // Without account data the first two are all that is known.
    const std::size_t columns = cfg_ == nullptr ? 2 : kTitles.size();
    Table table(columns);
    bool ok = true;
    for (const std::string_view title : std::span(kTitles).first(columns)) {
      ok = ok && table.add(title);
    }
    for (const Row &row : rows_) {
      ok = ok && table.add(row.token_id) && table.add(method_cell(row)) &&
           (cfg_ == nullptr || add_account(&table, row));
    }
    Buffer out;
    if (!ok || !table.append_to(&out)) {
      errno = ENOMEM;
      return false;
    }
    return pbstoken::print(out.view());
  }

  static std::string_view method_cell(const Row &row) {
    if (row.secret == nullptr) {
      return "-";
    }
    return row.secret->method.empty() ? "unknown" : row.secret->method;
  }

  [[nodiscard]] bool add_account(Table *table, const Row &row) const {
    if (row.section == nullptr) {
      return table->add("-") && table->add("-") && table->add(state_of(row)) &&
             table->add("");
    }
    return table->add(row.section->enabled ? "yes" : "no") &&
           table->add(row.section->expires == 0
                          ? "never"
                          : iso_date(row.section->expires).view()) &&
           table->add(state_of(row)) && table->add(row.section->comment);
  }

  [[nodiscard]] bool print_json(OutputFormat format) const {
    JsonArray array(format);
    for (const Row &row : rows_) {
      if (!array.add(fields_of(row))) {
        errno = ENOMEM;
        return false;
      }
    }
    return array.print();
  }

  [[nodiscard]] std::array<Field, 8> fields_of(const Row &row) const {
    const Section *section = row.section;
    const bool has_method =
        row.secret != nullptr && !row.secret->method.empty();
    return {
        Field::string("tokenid", row.token_id),
        has_method ? Field::string("method", row.secret->method)
                   : Field::unknown("method"),
        section != nullptr ? Field::boolean("enabled", section->enabled)
                           : Field::unknown("enabled"),
        section != nullptr && section->expires != 0
            ? Field::count("expires", section->expires)
            : Field::unknown("expires"),
        section != nullptr ? Field::string("comment", section->comment)
                           : Field::unknown("comment"),
        cfg_ != nullptr ? Field::boolean("section", section != nullptr)
                        : Field::unknown("section"),
        Field::boolean("secret", row.secret != nullptr),
        Field::string("state", state_of(row)),
    };
  }

  std::span<const Row> rows_;
  const UserCfg *cfg_;
  std::uint64_t now_;  // seconds since the epoch
};

// Returns nullopt if the store has no account data.
Result<std::optional<UserCfg>> read_accounts(const Store &store) {
  if (store.user_cfg.empty()) {
    return std::optional<UserCfg>();
  }
  auto cfg = UserCfg::read(store.user_cfg);
  if (!cfg) {
    return cfg.error();
  }
  return std::optional<UserCfg>(std::move(*cfg));
}

Result<void> list(const Store &store, OutputFormat format) {
  const auto shadow = TokenShadow::read(store.token_shadow);
  if (!shadow) {
    return shadow.error();
  }
  const auto cfg = read_accounts(store);
  if (!cfg) {
    return cfg.error();
  }
  const auto secrets = stored_tokens(*shadow);
  if (!secrets) {
    return secrets.error();
  }
  const auto rows = merge(secrets->items(),
                          *cfg ? (*cfg)->tokens() : std::span<const Section>());
  if (!rows) {
    return rows.error();
  }
  const Listing listing(rows->items(), *cfg ? &**cfg : nullptr);
  return listing.print(format)
             ? Result<void>()
             : system_error("cannot write to", "standard output");
}

}  // namespace

ExitStatus list_tokens(Context *context) {
  const auto listed = list(context->store, context->line.format);
  if (!listed) {
    complain(listed.error());
    return ExitStatus::kUnavailable;
  }
  return ExitStatus::kDone;
}

}  // namespace pbstoken
