// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <tuple>

#include "admin/admin.h"
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

// What is known of one token: a secret, a section, or both.
struct Row {
  std::string_view token_id;
  const TokenShadow::Entry *secret;
  const Section *section;
};

// By user, realm and name, and not by the text: '0' to '9' come before '@', so
// that would put user10 before user1.
bool is_before(const Row &a, const Row &b) {
  const auto key = [](const Row &row) {
    const auto id = parse_token_id(row.token_id);
    return id ? std::tuple(id->user, id->realm, id->name)
              : std::tuple(row.token_id, std::string_view(),
                           std::string_view());
  };
  return a.token_id != b.token_id ? key(a) < key(b)
                                  : std::less<>()(a.secret, b.secret);
}

// Sorted by id, one row each.  Of several secrets the last one counts: the
// entries stand in the order of the file, and a row without a secret is first.
Result<List<Row>> rows_of(const TokenShadow &shadow,
                          std::span<const Section> sections) {
  List<Row> all;
  bool ok = true;
  for (const TokenShadow::Entry &entry : shadow.entries()) {
    ok = ok && (!parse_token_id(entry.token_id) ||
                all.append({.token_id = entry.token_id,
                            .secret = &entry,
                            .section = nullptr}));
  }
  for (const Section &section : sections) {
    ok = ok &&
         all.append(
             {.token_id = section.id, .secret = nullptr, .section = &section});
  }
  const auto sorted = all.mutable_items();
  std::sort(sorted.begin(), sorted.end(), is_before);
  List<Row> rows;
  for (const Row &row : sorted) {
    const auto kept = rows.mutable_items();
    if (!kept.empty() && kept.back().token_id == row.token_id) {
      kept.back().secret = row.secret;
    } else {
      ok = ok && rows.append(row);
    }
  }
  if (!ok) {
    return no_memory("cannot list tokens");
  }
  return rows;
}

// Empty without a secret, and if the stored hash is of no use.
std::string_view method_of(const Row &row) {
  return row.secret != nullptr ? hash_method(row.secret->stored_hash)
                               : std::string_view();
}

bool is_bad_hash(const Row &row) {
  return row.secret != nullptr && method_of(row).empty();
}

bool is_old(const Row &row) {
  return row.secret != nullptr && is_old_hash(row.secret->stored_hash);
}

class Listing {
 public:
  // cfg: null without account data.
  Listing(std::span<const Row> rows, const UserCfg *cfg, Use *use)
      : rows_(rows),
        cfg_(cfg),
        use_(use),
        now_(realtime_now() / kNanosecondsPerSecond) {}

  [[nodiscard]] bool print(OutputFormat format) const {
    return format == OutputFormat::kText ? print_table() : print_json(format);
  }

  // Says what to do about hashes that the table has marked.
  void advise() const {
    if (std::any_of(rows_.begin(), rows_.end(), is_bad_hash)) {
      complain(
          "a damaged hash, bad-hash, matches nothing: make a new secret with "
          "pbstoken-helper generate");
    }
    if (std::any_of(rows_.begin(), rows_.end(), is_old)) {
      complain(
          "an old hash, marked (old), is cheaper to guess than what Proxmox "
          "makes today: replace the secret with pbstoken-helper rotate or "
          "generate");
    }
  }

 private:
  // Says that the token counts, or names the first thing to mend.
  [[nodiscard]] std::string_view state_of(const Row &row) const {
    if (row.secret == nullptr) {
      return "no-secret";
    }
    if (is_bad_hash(row)) {
      return "bad-hash";
    }
    if (cfg_ == nullptr) {
      return "active";
    }
    const AccountVerdict verdict = cfg_->judge(*parse_token_id(row.token_id));
    switch (outcome_of(verdict, now_)) {
      case Outcome::kAllowed:
        return "active";
      case Outcome::kExpired:
        return "expired";
      case Outcome::kUserDisabled:
        return "user-disabled";
      case Outcome::kTokenDisabled:
        return "disabled";
      case Outcome::kNoUserSection:
        // user.cfg may know the token's section, or neither of the two.
        return row.section == nullptr ? "no-section" : "no-user";
      default:
        return "no-section";
    }
  }

  [[nodiscard]] bool print_table() const {
    constexpr std::array<std::string_view, 7> kTitles = {
        "TOKENID", "METHOD", "LAST USED", "ENABLED",
        "EXPIRES", "STATE",  "COMMENT"};
    // A store without account data knows the first three only.
    constexpr std::size_t kWithoutAccounts = 3;
    const std::size_t columns =
        cfg_ == nullptr ? kWithoutAccounts : kTitles.size();
    Table table(columns);
    bool ok = true;
    for (const std::string_view title : std::span(kTitles).first(columns)) {
      ok = ok && table.add(title);
    }
    for (const Row &row : rows_) {
      ok = ok && table.add(row.token_id) &&
           table.add(method_cell(row).view()) &&
           table.add(last_use_cell(row).view()) &&
           (cfg_ == nullptr || add_account(&table, row));
    }
    Buffer out;
    if (!ok || !table.append_to(&out)) {
      errno = ENOMEM;
      return false;
    }
    return pbstoken::print(out.view());
  }

  static FixedText<31> method_cell(const Row &row) {
    FixedText<31> cell(row.secret == nullptr ? "-"
                       : is_bad_hash(row)    ? "unknown"
                                             : method_of(row));
    cell.append(is_old(row) ? "(old)" : "");
    return cell;
  }

  // A token is let in by its secret alone: account rules come after that.
  [[nodiscard]] FixedText<20> last_use_cell(const Row &row) const {
    const auto use = use_->of(row.token_id);
    return use ? iso_date(use->last) : FixedText<20>("-");
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

  [[nodiscard]] std::array<Field, 11> fields_of(const Row &row) const {
    const Section *section = row.section;
    const std::string_view method = method_of(row);
    const auto use = use_->of(row.token_id);
    return {
        Field::string("tokenid", row.token_id),
        method.empty() ? Field::unknown("method")
                       : Field::string("method", method),
        method.empty() ? Field::unknown("old_hash")
                       : Field::boolean("old_hash", is_old(row)),
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
        use ? Field::count("last_used", use->last)
            : Field::unknown("last_used"),
        Field::count("uses", use ? use->count : 0),
    };
  }

  std::span<const Row> rows_;
  const UserCfg *cfg_;
  Use *use_;
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

Result<void> list(const Store &store, OutputFormat format, Use *use) {
  const auto shadow = TokenShadow::read(store.token_shadow);
  if (!shadow) {
    return shadow.error();
  }
  const auto cfg = read_accounts(store);
  if (!cfg) {
    return cfg.error();
  }
  const auto rows =
      rows_of(*shadow, *cfg ? (*cfg)->tokens() : std::span<const Section>());
  if (!rows) {
    return rows.error();
  }
  const Listing listing(rows->items(), *cfg ? &**cfg : nullptr, use);
  if (!listing.print(format)) {
    return system_error("cannot write to", "standard output");
  }
  if (format == OutputFormat::kText) {
    listing.advise();
  }
  return {};
}

}  // namespace

ExitStatus list_tokens(Context *context) {
  const auto listed =
      list(context->store, context->line.format, &context->verifier.use());
  if (!listed) {
    complain(listed.error());
    return ExitStatus::kUnavailable;
  }
  return ExitStatus::kDone;
}

}  // namespace pbstoken
