//! The conformance suite of the store: every rule of the engine, on every database.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

#[path = "engine/ahead.rs"]
mod ahead;
#[path = "engine/away.rs"]
mod away;
#[path = "engine/beat.rs"]
mod beat;
#[path = "engine/callers.rs"]
mod callers;
#[path = "engine/crash.rs"]
mod crash;
#[path = "engine/fence.rs"]
mod fence;
#[allow(dead_code, reason = "a store in a folder of its own is what moves need")]
#[path = "engine/fixture.rs"]
mod fixture;
#[path = "engine/gates.rs"]
mod gates;
#[path = "engine/journal.rs"]
mod journal;
#[path = "engine/outage.rs"]
mod outage;
#[path = "engine/partitions.rs"]
mod partitions;
#[path = "engine/proxy.rs"]
mod proxy;
#[path = "engine/queue.rs"]
mod queue;
#[path = "engine/retain.rs"]
mod retain;
#[path = "engine/server.rs"]
mod server;
#[path = "engine/share.rs"]
mod share;
#[path = "engine/shared.rs"]
mod shared;
#[path = "engine/storm.rs"]
mod storm;
#[path = "engine/tls.rs"]
mod tls;

use std::io::BufRead;

/// All cases on one database. A case gets a database of its own.
macro_rules! conformance {
    ($make:expr; $($group:ident: $($case:ident)+;)+) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            crate::$group::$case($make).await;
        }
    )+)+};
}

macro_rules! every_case {
    ($make:expr) => {
        conformance! { $make;
            ahead: a_seat_is_left_free_where_nobody_is_as_urgent
                a_first_step_begins_with_the_write_that_takes_its_run
                a_run_begins_with_the_write_that_starts_it_and_its_end_is_told_with_its_place
                a_plan_that_is_woken_takes_nobodys_seat;
            queue: the_most_urgent_goes_first
                equals_go_in_order_of_acceptance
                children_stand_where_their_root_stands
                a_point_of_priority_is_a_second
                priority_reaches_open_descendants
                what_comes_on_top_of_a_base_stays_when_it_is_set
                a_score_counts_only_where_nobody_set_a_base
                one_urgent_run_overtakes_ten_thousand
                places_are_counted_up_to_a_thousand
                a_write_takes_who_comes_next
                seats_are_counted_over_all_nodes
                claims_side_by_side_keep_to_their_nodes_part
                urgent_runs_go_beyond_the_seats
                who_only_begins_work_of_others_needs_no_seat
                two_nodes_never_take_the_same_run
                one_roots_runs_can_be_taken_alone
                a_key_joins_its_run
                the_same_name_joins_its_run
                the_queue_has_a_bound
                rows_lists_and_counts_agree;
            share: who_has_its_share_is_passed_over
                the_urgent_are_passed_over_by_nobody
                every_node_counts_the_seats_of_all
                who_works_on_one_root_asks_for_no_share
                what_a_dead_node_held_is_shared_anew
                one_behind_many_thousands_has_its_share;
            gates: a_rate_is_shared_and_kept
                all_is_taken_or_nothing
                more_than_there_ever_is_is_said_at_once
                who_comes_forward_in_a_line_for_a_rate_goes_sooner
                who_goes_out_of_a_line_for_a_rate_leaves_no_gap
                who_waits_stands_in_order_of_rank
                what_the_dead_held_comes_back
                a_breaker_opens_lets_one_try_and_closes
                a_pause_that_was_asked_for_is_kept_and_less_is_asked_then
                a_ledger_is_exact
                what_is_left_of_a_share_goes_back_once
                what_agents_create_is_counted_for_good
                what_slips_in_goes_before_the_gate
                who_yields_is_in_the_queue_again
                who_waits_for_something_else_leaves_the_line
                who_is_woken_and_held_elsewhere_wakes_the_next
                nobody_waits_in_line_beyond_a_deadline;
            fence: a_step_is_whole_or_not_at_all
                a_stale_lease_writes_nothing
                a_shorter_journal_is_fenced
                tokens_are_not_counted_up
                what_slipped_in_is_told
                writes_that_share_a_commit_see_one_another
                parking_compares_the_length
                a_timer_wakes
                a_tell_wakes_the_parent
                the_ended_hear_nothing
                an_ended_run_reopens
                a_tree_is_told_at_once;
            beat: what_was_dropped_is_given_back
                a_claim_under_way_is_not_given_back
                what_was_taken_is_reported
                a_silent_node_is_swept_after_a_ttl
                only_who_is_well_may_sweep
                leaving_is_at_once
                giving_back_is_at_once;
            journal: records_come_back_as_written
                a_tree_is_in_order_of_writing
                long_text_comes_back
                any_json_comes_back
                secrets_are_not_in_the_records
                chains_hold_over_a_tree
                notes_have_a_stream_of_their_own
                a_change_is_heard;
            callers: what_nobody_heard_is_unread_until_it_is_delivered
                an_end_that_is_awaited_is_not_unread
                the_unread_are_counted_and_the_newest_named
                an_equal_call_joins_what_was_left
                a_call_that_left_a_moment_ago_is_joined_before_that_is_written
                what_a_dead_or_leaving_node_waited_for_is_left
                children_are_nobodys_to_hear
                the_last_records_come_oldest_first;
            retain: a_root_past_its_time_leaves_whole
                what_is_remembered_keeps_its_root
                what_is_open_keeps_its_root
                long_texts_leave_before_their_records
                a_text_that_comes_again_during_a_pass_stays
                a_root_that_goes_on_keeps_its_texts
                a_day_is_closed_once
                a_very_long_root_leaves_before_its_records
                a_kill_leaves_a_root_whole_or_not_at_all;
            storm: nothing_is_lost_or_done_twice;
            shared: a_rate_is_used_up_by_four_stores_and_never_exceeded
                a_budget_of_four_stores_is_not_overspent
                who_follows_the_log_misses_nothing
                seats_hold_whatever_a_database_has_for_its_defaults;
            crash: what_was_answered_survives_a_kill
                a_dead_process_is_taken_over_at_once
                a_frozen_process_is_fenced
                processes_share_the_work
                another_process_is_heard
                writers_of_two_processes_take_turns;
        }
    };
}

mod sqlite {
    use crate::fixture::Fixture;

    every_case! { Fixture::sqlite() }
}

mod postgres {
    use crate::fixture::Fixture;

    every_case! { Fixture::postgres().await }

    /// What only a server does to its clients.
    mod outage {
        use crate::fixture::Fixture;

        conformance! { Fixture::alone().await;
            outage: a_server_that_crashes_loses_nothing;
            tls: who_must_prove_its_name_does_or_is_refused;
        }

        conformance! { Fixture::postgres().await;
            outage: a_server_that_says_no_word_holds_nobody_up
                the_next_host_is_asked_where_one_refuses
                a_commit_without_an_answer_is_unknown
                a_commit_that_never_arrived_is_no_success
                who_is_not_let_in_is_told_so;
        }
    }

    /// What only a server keeps so.
    mod partitions {
        use crate::fixture::Fixture;

        conformance! { Fixture::postgres().await;
            partitions: a_database_of_format_7_is_divided_and_keeps_its_rows
                trees_in_three_partitions_are_read_written_and_fenced
                a_partition_is_made_before_it_is_needed_and_once
                what_no_partition_is_for_is_kept_and_the_next_begins_behind_it
                who_reads_for_long_holds_up_no_work
                a_server_without_partitions_has_one_table
                what_is_asked_of_a_run_looks_into_one_partition;
        }
    }
}

/// Not a test: what the crash tests start as a second process. Its orders are the first line of
/// its input; without any it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the crash tests as a second process"]
async fn second_process() {
    let mut order = String::new();
    std::io::stdin().lock().read_line(&mut order).unwrap();
    if !order.trim().is_empty() {
        away::obey(order.trim()).await;
    }
}
