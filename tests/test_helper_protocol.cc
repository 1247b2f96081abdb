// SPDX-License-Identifier: BSD-3-Clause
// What module and helper say to each other: outcomes that cannot be mistaken,
// requests that are taken to the last byte or not at all.
#include "pbstoken/verify/helper_protocol.h"

#include <bit>
#include <cstring>
#include <random>
#include <vector>

#include "support.h"
#include "wire/request.h"

namespace pbstoken {
namespace {

using namespace testing;

constexpr const char *kId = "john@pbs!client1";
constexpr const char *kSecret = "0f1e2d3c-4b5a-4697-8877-665544332211";

std::vector<Outcome> every_outcome() {
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < kOutcomes; ++i) {
    outcomes.push_back(static_cast<Outcome>(i));
  }
  return outcomes;
}

std::string text_of(Outcome outcome) {
  const AnswerWord word = word_of(outcome);
  return {word.data(), word.size()};
}

std::uint64_t number_of(const std::string &word) {
  std::uint64_t number = 0;
  std::memcpy(&number, word.data(), sizeof(number));
  return number;
}

std::string with_flipped(std::string word, std::size_t bit) {
  word[bit / 8] = static_cast<char>(word[bit / 8] ^ (1 << (bit % 8)));
  return word;
}

// --- outcome words

void word_of_any_two_outcomes_are_far_apart(void ** /*state*/) {
  for (const Outcome a : every_outcome()) {
    for (const Outcome b : every_outcome()) {
      const int distance =
          std::popcount(number_of(text_of(a)) ^ number_of(text_of(b)));
      assert_true(a == b ? distance == 0 : distance >= 16);
    }
    assert_true(std::popcount(number_of(text_of(a)) ^ request_word()) >= 16);
  }
}

void parse_answer_each_word_is_its_reply(void ** /*state*/) {
  for (const Outcome outcome : every_outcome()) {
    const auto answer = parse_answer(text_of(outcome));
    if (outcome == Outcome::kOffer) {
      assert_false(answer.has_value());  // never the last word
      continue;
    }
    assert_true(answer && answer->outcome == outcome && answer->text.empty());
  }
}

void parse_answer_one_or_two_flipped_bits_is_none(void ** /*state*/) {
  constexpr std::size_t kBits = 64;
  for (const Outcome outcome : every_outcome()) {
    const std::string word = text_of(outcome);
    for (std::size_t a = 0; a < kBits; ++a) {
      const std::string one = with_flipped(word, a);
      assert_false(parse_answer(one).has_value());
      for (std::size_t b = 0; b < a; ++b) {
        assert_false(parse_answer(with_flipped(one, b)).has_value());
      }
    }
  }
}

void parse_answer_part_of_a_word_is_none(void ** /*state*/) {
  for (const Outcome outcome : every_outcome()) {
    const std::string word = text_of(outcome);
    for (std::size_t size = 0; size < word.size(); ++size) {
      assert_false(parse_answer(word.substr(0, size)).has_value());
      assert_false(parse_answer(word.substr(size) + "x").has_value() &&
                   size != 0);
    }
  }
}

// Who is let in is told so with nothing else.
void parse_answer_success_with_anything_behind_it_is_none(void ** /*state*/) {
  int successes = 0;
  for (const Outcome outcome : every_outcome()) {
    const std::string word = text_of(outcome);
    for (const std::string &more :
         {std::string("x"), std::string(1, '\0'), std::string("\n"), word}) {
      const auto answer = parse_answer(word + more);
      assert_true(answer.has_value() ==
                  (!lets_in(outcome) && outcome != Outcome::kOffer));
    }
    successes += is_success(outcome) ? 1 : 0;
  }
  assert_int_equal(successes, 6);
}

void parse_answer_text_has_a_limit(void ** /*state*/) {
  const std::string word = text_of(Outcome::kUnavailable);
  const auto longest = parse_answer(word + std::string(kMaxAnswerText, 'a'));
  assert_true(longest && longest->text.size() == kMaxAnswerText);
  assert_false(
      parse_answer(word + std::string(kMaxAnswerText + 1, 'a')).has_value());
}

void parse_answer_garbage_is_none(void ** /*state*/) {
  std::mt19937_64 random(4711);
  for (int i = 0; i < 200000; ++i) {
    const auto word = std::bit_cast<AnswerWord>(random());
    assert_false(parse_answer({word.data(), word.size()}).has_value());
  }
  for (const char fill : {'\0', '\xff', ' ', '0', '1', 'a'}) {
    for (std::size_t size = 0; size < 300; ++size) {
      assert_false(parse_answer(std::string(size, fill)).has_value());
    }
  }
}

// --- offers

void parse_offer_whole_line_is_the_secret(void ** /*state*/) {
  const std::string offer = text_of(Outcome::kOffer) + kSecret + "\n";
  assert_text_equal(parse_offer(offer).value_or("none"), kSecret);
  for (std::size_t size = 0; size < offer.size(); ++size) {
    assert_false(parse_offer(offer.substr(0, size)).has_value());
  }
}

void parse_offer_what_is_no_secret_is_none(void ** /*state*/) {
  const std::string word = text_of(Outcome::kOffer);
  for (const std::string &line :
       {std::string("\n"), std::string("a\nb\n"), std::string("\x1b[2J\n"),
        std::string("a\0b\n", 4), std::string(512, 'a') + "\n"}) {
    assert_false(parse_offer(word + line).has_value());
  }
  for (const Outcome other : every_outcome()) {
    if (other != Outcome::kOffer) {
      assert_false(parse_offer(text_of(other) + "secret\n").has_value());
    }
  }
}

// --- requests

HelperRequest a_request() {
  return {.command = HelperCommand::kRotate,
          .nocache = true,
          .store = "pdm",
          .host = "2001:db8::1",
          .token_id = kId,
          .secret = kSecret,
          .directory_device = 0x0102030405060708,
          .directory_inode = 0xfffefdfcfbfaf9f8,
          .real_uid = 0xfedcba98};
}

std::string bytes_of(const HelperRequest &request) {
  const auto made = make_request(request);
  if (!made) {
    return "(none)";
  }
  return std::string(made->view());
}

bool is_accepted(const std::string &bytes) {
  const auto size = parse_request_head(bytes.substr(0, kRequestHead));
  return size && *size == bytes.size() - kRequestHead &&
         parse_request_body(bytes.substr(kRequestHead));
}

void parse_request_of_what_was_made_is_the_same(void ** /*state*/) {
  const std::string bytes = bytes_of(a_request());
  const auto size = parse_request_head(std::string_view(bytes).substr(0, 12));
  assert_true(size && *size == bytes.size() - kRequestHead);
  const auto request =
      parse_request_body(std::string_view(bytes).substr(kRequestHead));
  assert_true(static_cast<bool>(request));
  assert_true(request->line.command == Command::kRotate);
  assert_true(request->line.nocache);
  assert_true(request->line.replies);
  assert_true(request->line.config.empty());
  assert_text_equal(request->line.store.view(), "pdm");
  assert_text_equal(request->line.remote_host.view(), "2001:db8::1");
  assert_text_equal(request->line.token_id.text, kId);
  assert_text_equal(request->line.token_id.realm, "pbs");
  assert_text_equal(request->secret, kSecret);
  assert_true(request->directory_device == 0x0102030405060708);
  assert_true(request->directory_inode == 0xfffefdfcfbfaf9f8);
  assert_true(request->real_uid == 0xfedcba98);
}

void parse_request_secret_may_be_anything(void ** /*state*/) {
  for (const std::string &secret :
       {std::string(), std::string("\0\n", 2), std::string(1024, '\xff')}) {
    HelperRequest request = a_request();
    request.secret = secret;
    const std::string bytes = bytes_of(request);
    const auto parsed =
        parse_request_body(std::string_view(bytes).substr(kRequestHead));
    assert_true(parsed && parsed->secret == secret);
  }
}

void parse_request_cut_off_or_with_more_is_refused(void ** /*state*/) {
  const std::string bytes = bytes_of(a_request());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::string part = bytes.substr(0, size);
    assert_false(is_accepted(part));
    if (size >= kRequestHead) {
      assert_false(
          static_cast<bool>(parse_request_body(part.substr(kRequestHead))));
    }
  }
  assert_true(is_accepted(bytes));
  assert_false(static_cast<bool>(
      parse_request_body((bytes + "x").substr(kRequestHead))));
}

// Whatever a byte becomes, what is accepted is still a request for the module's
// commands about a token id of a store.
void parse_request_every_byte_changed_stays_within_bounds(void ** /*state*/) {
  const std::string bytes = bytes_of(a_request());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      if (at < 8 && changed != bytes) {
        assert_false(is_accepted(changed));
        continue;
      }
      const std::string body = changed.substr(kRequestHead);
      const auto request = parse_request_body(body);
      if (!request) {
        continue;
      }
      const CommandLine &line = request->line;
      assert_true(line.command == Command::kVerify ||
                  line.command == Command::kAccount ||
                  line.command == Command::kRotate);
      assert_true(is_store_name(line.store.view()));
      assert_true(parse_token_id(line.token_id.text).has_value());
      assert_true(request->secret.size() <= kMaxRequestSecret);
      assert_true(line.config.empty());
    }
  }
}

void parse_request_bad_fields_are_refused(void ** /*state*/) {
  const auto refused = [](auto change) {
    HelperRequest request = a_request();
    change(&request);
    return !is_accepted(bytes_of(request));
  };
  assert_true(refused([](HelperRequest *r) { r->store = ""; }));
  assert_true(refused([](HelperRequest *r) { r->store = "../pbs"; }));
  assert_true(refused([](HelperRequest *r) { r->token_id = ""; }));
  assert_true(refused([](HelperRequest *r) { r->token_id = "john@pbs"; }));
  assert_true(refused([](HelperRequest *r) { r->token_id = "john@pbs!t\n"; }));
  assert_true(
      refused([](HelperRequest *r) { r->host = std::string_view("a\0b", 3); }));
  for (const int command : {0, 4, 255}) {
    assert_true(refused([command](HelperRequest *r) {
      r->command = static_cast<HelperCommand>(command);
    }));
  }
  assert_false(refused([](HelperRequest *) {}));
  for (unsigned flags = 2; flags < 256; ++flags) {
    std::string bytes = bytes_of(a_request());
    bytes[kRequestHead + 1] = static_cast<char>(flags);
    assert_false(is_accepted(bytes));
  }
}

void make_request_too_long_fields_are_an_error(void ** /*state*/) {
  const std::string longer(kMaxRequestId + 1, 'a');
  HelperRequest request = a_request();
  request.token_id = longer;
  assert_false(static_cast<bool>(make_request(request)));
  request = a_request();
  request.host = std::string_view(longer).substr(0, kMaxRequestHost + 1);
  assert_false(static_cast<bool>(make_request(request)));
  request = a_request();
  request.secret = std::string_view(longer).substr(0, kMaxRequestSecret + 1);
  assert_false(static_cast<bool>(make_request(request)));
  // And the longest of each fit.
  const std::string id = longer.substr(0, kMaxRequestId - 6) + "@pbs!t";
  request = {.store = "abcdefghijklmnopqrstuvwxyz012345",
             .host = std::string_view(longer).substr(0, kMaxRequestHost),
             .token_id = id,
             .secret = std::string_view(longer).substr(0, kMaxRequestSecret)};
  assert_true(is_accepted(bytes_of(request)));
}

void parse_request_head_announcing_too_much_is_refused(void ** /*state*/) {
  std::string head = bytes_of(a_request()).substr(0, kRequestHead);
  for (const std::uint32_t size :
       {std::uint32_t{kMaxRequestBody} + 1, std::uint32_t{0xffffffff}}) {
    std::memcpy(head.data() + 8, &size, sizeof(size));
    assert_false(static_cast<bool>(parse_request_head(head)));
  }
}

}  // namespace
}  // namespace pbstoken

int main() {
  using namespace pbstoken;
  const CMUnitTest tests[] = {
      cmocka_unit_test(word_of_any_two_outcomes_are_far_apart),
      cmocka_unit_test(parse_answer_each_word_is_its_reply),
      cmocka_unit_test(parse_answer_one_or_two_flipped_bits_is_none),
      cmocka_unit_test(parse_answer_part_of_a_word_is_none),
      cmocka_unit_test(parse_answer_success_with_anything_behind_it_is_none),
      cmocka_unit_test(parse_answer_text_has_a_limit),
      cmocka_unit_test(parse_answer_garbage_is_none),
      cmocka_unit_test(parse_offer_whole_line_is_the_secret),
      cmocka_unit_test(parse_offer_what_is_no_secret_is_none),
      cmocka_unit_test(parse_request_of_what_was_made_is_the_same),
      cmocka_unit_test(parse_request_secret_may_be_anything),
      cmocka_unit_test(parse_request_cut_off_or_with_more_is_refused),
      cmocka_unit_test(parse_request_every_byte_changed_stays_within_bounds),
      cmocka_unit_test(parse_request_bad_fields_are_refused),
      cmocka_unit_test(make_request_too_long_fields_are_an_error),
      cmocka_unit_test(parse_request_head_announcing_too_much_is_refused),
  };
  return cmocka_run_group_tests_name("helper_protocol", tests, nullptr,
                                     nullptr);
}
