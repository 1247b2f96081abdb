// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>
#include <optional>

#include "admin/admin.h"
#include "admin/filter.h"
#include "admin/report.h"
#include "admin/tokens.h"
#include "admin/use_history.h"
#include "io/message.h"
#include "io/output.h"
#include "pbstoken/os/clock.h"

namespace pbstoken {

namespace {

class Listing {
 public:
  Listing(const Tokens &tokens, std::span<const TokenRow> rows,
          const UseHistory &use, std::uint64_t now)
      : tokens_(tokens), rows_(rows), use_(use), now_(now) {}

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
  [[nodiscard]] std::string_view state_of(const TokenRow &row) const {
    return kTokenStates[static_cast<std::size_t>(tokens_.state_of(row, now_))];
  }

  [[nodiscard]] bool print_table() const {
    constexpr std::array<std::string_view, 7> kTitles = {
        "TOKENID", "METHOD", "LAST USED", "ENABLED",
        "EXPIRES", "STATE",  "COMMENT"};
    // A store without account data knows the first three only.
    constexpr std::size_t kWithoutAccounts = 3;
    const std::size_t columns =
        tokens_.has_accounts() ? kTitles.size() : kWithoutAccounts;
    Table table(columns);
    bool ok = true;
    for (const std::string_view title : std::span(kTitles).first(columns)) {
      ok = ok && table.add(title);
    }
    for (const TokenRow &row : rows_) {
      ok = ok && table.add(row.token_id) &&
           table.add(method_cell(row).view()) &&
           table.add(last_use_cell(row).view()) &&
           (!tokens_.has_accounts() || add_account(&table, row));
    }
    Buffer out;
    if (!ok || !table.append_to(&out)) {
      errno = ENOMEM;
      return false;
    }
    return pbstoken::print(out.view());
  }

  static FixedText<31> method_cell(const TokenRow &row) {
    FixedText<31> cell(row.secret == nullptr ? "-"
                       : is_bad_hash(row)    ? "unknown"
                                             : method_of(row));
    cell.append(is_old(row) ? "(old)" : "");
    return cell;
  }

  // A token is let in by its secret alone: account rules come after that.
  [[nodiscard]] FixedText<20> last_use_cell(const TokenRow &row) const {
    if (const auto use = use_.of(row.token_id); use) {
      return iso_date(use->last);
    }
    const auto since = use_.since(row.token_id);
    if (row.secret == nullptr || !since) {
      return FixedText<20>("-");
    }
    constexpr std::size_t kDay = 10;  // 2023-11-14
    FixedText<20> cell("not since ");
    cell.append(slice(iso_date(*since).view(), 0, kDay));
    return cell;
  }

  [[nodiscard]] bool add_account(Table *table, const TokenRow &row) const {
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
    for (const TokenRow &row : rows_) {
      if (!array.add(fields_of(row))) {
        errno = ENOMEM;
        return false;
      }
    }
    return array.print();
  }

  [[nodiscard]] std::array<Field, 12> fields_of(const TokenRow &row) const {
    const UserCfg::Section *section = row.section;
    const std::string_view method = method_of(row);
    const auto use = use_.of(row.token_id);
    const auto since = use_.since(row.token_id);
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
        tokens_.has_accounts() ? Field::boolean("section", section != nullptr)
                               : Field::unknown("section"),
        Field::boolean("secret", row.secret != nullptr),
        Field::string("state", state_of(row)),
        use ? Field::count("last_used", use->last)
            : Field::unknown("last_used"),
        Field::count("uses", use ? use->count : 0),
        since ? Field::count("since", *since) : Field::unknown("since"),
    };
  }

  const Tokens &tokens_;
  std::span<const TokenRow> rows_;
  const UseHistory &use_;
  std::uint64_t now_;  // seconds since the epoch
};

// Says that for some tokens it is not known whether they were unused.
void complain_of_untold(std::size_t count, const UseHistory &use) {
  ErrorText text;
  if (!use.is_counting()) {
    text.append(
        "the segment that counts uses cannot be had, run pbstoken check; "
        "tokens "
        "that are not listed: ");
  } else if (!use.saved() && use.since()) {
    text.append(
        "nothing was saved yet, run pbstoken save; tokens that are not "
        "listed: ");
  } else if (const auto since = use.since(); since) {
    text.append("the record of use begins at ").append(iso_date(*since).view());
    text.append("; tokens that were not used since, and are not listed: ");
  } else {
    text.append("no use was counted yet; tokens that are not listed: ");
  }
  text.append(count);
  complain(text.view());
}

// Says that uses may have been lost in the time that is asked for.
void complain_of_lost(const UseHistory &use, std::uint64_t start) {
  const Gap &lost = use.lost();
  if (lost.to <= start) {
    return;
  }
  ErrorText text("uses may have been lost between ");
  text.append(iso_date(lost.from).view()).append(" and ");
  text.append(iso_date(lost.to).view());
  text.append(": nothing was saved before the segment was made anew");
  complain(text.view());
}

// Returns how many tokens were listed, and complains of those of which that is
// not known.
Result<Filtered> list(const Store &store, const CommandLine &line, Use *use) {
  const auto tokens = Tokens::read(store);
  if (!tokens) {
    return tokens.error();
  }
  const UseHistory history = UseHistory::read_what_can_be(store, use);
  const std::uint64_t now = epoch_seconds();
  auto filtered = filter(line, *tokens, history, now);
  if (!filtered) {
    return filtered.error();
  }
  const Listing listing(*tokens, filtered->rows.items(), history, now);
  if (!listing.print(line.format)) {
    return output_error();
  }
  if (line.format == OutputFormat::kText) {
    listing.advise();
  }
  if (filtered->untold != 0) {
    complain_of_untold(filtered->untold, history);
  }
  if (line.unused) {
    complain_of_lost(history, now - std::min(*line.unused, now));
  }
  return filtered;
}

}  // namespace

ExitStatus list_tokens(Context *context) {
  const CommandLine &line = context->line;
  const auto listed = list(context->store, line, &context->verifier.use());
  if (!listed) {
    complain(listed.error());
    return ExitStatus::kUnavailable;
  }
  return has_filter(line) && !listed->rows.items().empty()
             ? ExitStatus::kRefused
         : listed->untold != 0 ? ExitStatus::kUnavailable
                               : ExitStatus::kDone;
}

}  // namespace pbstoken
