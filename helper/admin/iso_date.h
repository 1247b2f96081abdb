// SPDX-License-Identifier: BSD-3-Clause
// A time for people: 2023-11-14T22:13:20Z.
//
// Not by gmtime(3), which first reads the host's /etc/localtime.
#ifndef PBSTOKEN_ISO_DATE_H_
#define PBSTOKEN_ISO_DATE_H_

#include <cstdint>

#include "pbstoken/base/text.h"

namespace pbstoken {

// Of seconds since the epoch, in UTC; "after 9999" for what ISO 8601 has no
// four digits for.
FixedText<20> iso_date(std::uint64_t seconds);

}  // namespace pbstoken

#endif  // PBSTOKEN_ISO_DATE_H_
