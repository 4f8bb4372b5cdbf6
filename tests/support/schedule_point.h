// Put before thread_pool.cpp by the compiler's command line: its schedule points pause, now and then.
#pragma once

namespace mnv2::test {

/// Goes on at once, yields, or sleeps for up to a millisecond, at random.
void pause_at_random();

}  // namespace mnv2::test

#define MNV2_SCHEDULE_POINT() ::mnv2::test::pause_at_random()
