use super::*;
use proptest::prelude::*;

fn grid(window: Window) -> WindowGrid {
    WindowGrid::new(&window).unwrap()
}

fn spans(grid: WindowGrid, t: i64) -> Vec<(i64, i64)> {
    grid.windows(t).map(|w| (w.start, w.end)).collect()
}

#[test]
fn a_time_before_the_epoch_falls_into_the_window_below() {
    let tumble = grid(Window::Tumble { size_ms: 10, offset_ms: 0 });
    assert_eq!(spans(tumble, -1), [(-10, 0)]);
    assert_eq!(spans(tumble, -10), [(-10, 0)]);
    assert_eq!(spans(tumble, 0), [(0, 10)]);
}

#[test]
fn the_offset_shifts_the_grid_in_both_directions() {
    for offset_ms in [3, -7, 13] {
        let tumble = grid(Window::Tumble { size_ms: 10, offset_ms });
        assert_eq!(spans(tumble, 2), [(-7, 3)]);
        assert_eq!(spans(tumble, 3), [(3, 13)]);
    }
}

#[test]
fn hops_overlap_and_come_by_rising_end() {
    let hop = grid(Window::Hop { slide_ms: 5, size_ms: 10, offset_ms: 0 });
    assert_eq!(spans(hop, 7), [(0, 10), (5, 15)]);
    assert_eq!(hop.slice(7), TimeWindow { start: 5, end: 10 });
    assert_eq!(hop.last_window_end(10), Some(15));
    assert_eq!(hop.next_window(10, 9).map(|w| w.end), Some(10));
    assert_eq!(hop.next_window(10, 10).map(|w| w.end), Some(15));
    assert_eq!(hop.next_window(10, 15), None);
}

#[test]
fn hops_with_gaps_leave_times_out() {
    let hop = grid(Window::Hop { slide_ms: 10, size_ms: 4, offset_ms: 0 });
    assert_eq!(spans(hop, 3), [(0, 4)]);
    assert_eq!(spans(hop, 4), []);
    assert_eq!(hop.last_window_end(hop.slice(5).end), None);
}

#[test]
fn cumulating_windows_share_their_start() {
    let cumulate = grid(Window::Cumulate { step_ms: 5, size_ms: 15, offset_ms: 0 });
    assert_eq!(spans(cumulate, 2), [(0, 5), (0, 10), (0, 15)]);
    assert_eq!(spans(cumulate, 12), [(0, 15)]);
    assert_eq!(spans(cumulate, -1), [(-15, 0)]);
    assert_eq!(cumulate.first_slice_end(15), 5);
    assert_eq!(cumulate.first_slice_end(5), 5);
    assert_eq!(cumulate.first_slice_end(0), -10);
}

#[test]
fn impossible_grids_are_refused() {
    assert_eq!(WindowGrid::new(&Window::Tumble { size_ms: 0, offset_ms: 0 }), Err(WindowError::NotPositive(0)));
    let hop = Window::Hop { slide_ms: -1, size_ms: 5, offset_ms: 0 };
    assert_eq!(WindowGrid::new(&hop), Err(WindowError::NotPositive(-1)));
    let cumulate = Window::Cumulate { step_ms: 4, size_ms: 10, offset_ms: 0 };
    assert_eq!(WindowGrid::new(&cumulate), Err(WindowError::NotAMultiple { size_ms: 10, step_ms: 4 }));
    assert_eq!(WindowGrid::new(&Window::Session { gap_ms: 1 }), Err(WindowError::Session));
}

#[test]
fn a_window_is_due_one_millisecond_before_its_end_and_always_at_the_final_watermark() {
    assert!(!is_due(10, 0, EventTime(8)));
    assert!(is_due(10, 0, EventTime(9)));
    assert!(!is_due(10, 5, EventTime(13)));
    assert!(is_due(10, 5, EventTime(14)));
    assert!(is_due(i64::MAX, 1000, EventTime::MAX));
    assert!(!is_due(10, 0, EventTime::MIN));
}

#[test]
fn sessions_that_touch_are_one_and_a_bridge_joins_its_neighbours() {
    let open = [TimeWindow { start: 0, end: 10 }, TimeWindow { start: 20, end: 30 }, TimeWindow { start: 50, end: 60 }];
    let at = |t| merge_session(&open, TimeWindow::session(t, 10));
    assert_eq!(at(10), (0..2, TimeWindow { start: 0, end: 30 }));
    assert_eq!(at(31), (2..2, TimeWindow { start: 31, end: 41 }));
    assert_eq!(at(5), (0..1, TimeWindow { start: 0, end: 15 }));
    assert_eq!(at(-11), (0..0, TimeWindow { start: -11, end: -1 }));
    assert_eq!(at(-10), (0..1, TimeWindow { start: -10, end: 10 }));
    assert_eq!(at(40), (2..3, TimeWindow { start: 40, end: 60 }));
    assert_eq!(at(61), (3..3, TimeWindow { start: 61, end: 71 }));
}

fn any_window() -> impl Strategy<Value = Window> {
    prop_oneof![
        (1i64..50, -100i64..100).prop_map(|(size_ms, offset_ms)| Window::Tumble { size_ms, offset_ms }),
        (1i64..30, 1i64..60, -100i64..100).prop_map(|(slide_ms, size_ms, offset_ms)| Window::Hop {
            slide_ms,
            size_ms,
            offset_ms
        }),
        (1i64..10, 1i64..8, -100i64..100).prop_map(|(step_ms, n, offset_ms)| Window::Cumulate {
            step_ms,
            size_ms: step_ms * n,
            offset_ms
        }),
    ]
}

/// Every window of the grid that contains `t`, by trying all starts.
fn by_trying(window: Window, t: i64) -> Vec<(i64, i64)> {
    let mut found: Vec<(i64, i64)> = (t - 200..=t)
        .flat_map(|start| match window {
            Window::Tumble { size_ms, offset_ms } if (start - offset_ms).rem_euclid(size_ms) == 0 => {
                vec![(start, start + size_ms)]
            }
            Window::Hop { slide_ms, size_ms, offset_ms } if (start - offset_ms).rem_euclid(slide_ms) == 0 => {
                vec![(start, start + size_ms)]
            }
            Window::Cumulate { step_ms, size_ms, offset_ms } if (start - offset_ms).rem_euclid(size_ms) == 0 => {
                (1..=size_ms / step_ms).map(|k| (start, start + k * step_ms)).collect()
            }
            _ => vec![],
        })
        .filter(|&(start, end)| start <= t && t < end)
        .collect();
    found.sort_by_key(|&(_, end)| end);
    found
}

proptest! {
    #[test]
    fn the_arithmetic_finds_what_trying_finds(window in any_window(), t in -300i64..300) {
        prop_assert_eq!(spans(grid(window), t), by_trying(window, t));
    }

    #[test]
    fn slices_tile_the_line_and_no_window_cuts_one(window in any_window(), t in -300i64..300) {
        let grid = grid(window);
        let slice = grid.slice(t);
        prop_assert!(slice.contains(t));
        prop_assert_eq!(grid.slice(slice.end).start, slice.end);
        prop_assert_eq!(spans(grid, slice.start), spans(grid, t));
        prop_assert_eq!(grid.windows_of_slice(slice.end).collect::<Vec<_>>(), grid.windows(t).collect::<Vec<_>>());
        let first = grid.first_slice_end(slice.end);
        prop_assert!(!grid.is_cumulate() || grid.windows(t).all(|w| grid.slice(w.start).end == first));
    }

    #[test]
    fn the_next_window_is_the_first_that_ends_later(window in any_window(), t in -300i64..300, fired in -400i64..400) {
        let grid = grid(window);
        let end = grid.slice(t).end;
        prop_assert_eq!(grid.next_window(end, fired), grid.windows(t).find(|w| w.end > fired));
        prop_assert_eq!(grid.last_window_end(end), grid.windows(t).last().map(|w| w.end));
    }

    #[test]
    fn no_time_panics(window in any_window(), big in 1i64..=i64::MAX, t in prop_oneof![
        Just(i64::MIN), Just(i64::MAX), any::<i64>(), (0i64..9).prop_map(|d| i64::MAX - d), (0i64..9).prop_map(|d| i64::MIN + d),
    ]) {
        for window in [window, Window::Tumble { size_ms: big, offset_ms: -big }] {
            let grid = grid(window);
            for w in grid.windows(t) {
                prop_assert!(w.start <= t && t <= w.end);
            }
            let slice = grid.slice(t);
            prop_assert!(slice.start <= t && t <= slice.end);
            grid.next_window(slice.end, t);
            grid.first_slice_end(slice.end);
        }
    }

    #[test]
    fn due_windows_end_by_the_closing_time(end in -50i64..50, lateness in 0i64..20, watermark in -60i64..60) {
        let watermark = EventTime(watermark);
        prop_assert_eq!(is_due(end, lateness, watermark), end <= closed_through(watermark, lateness));
        prop_assert_eq!(closed_through(EventTime::MAX, lateness), i64::MAX);
        prop_assert!(closed_through(EventTime::MIN, lateness) <= i64::MIN + 1);
    }

    #[test]
    fn sessions_do_not_depend_on_the_order_of_rows(mut times in prop::collection::vec(-100i64..100, 0..30), seed: u64) {
        let fold = |times: &[i64]| {
            let mut open: Vec<TimeWindow> = vec![];
            for &t in times {
                let (range, merged) = merge_session(&open, TimeWindow::session(t, 7));
                open.splice(range, [merged]);
            }
            open
        };
        let open = fold(&times);
        prop_assert!(open.windows(2).all(|w| w[0].end < w[1].start));
        let n = times.len().max(1);
        times.rotate_left((seed % n as u64) as usize);
        prop_assert_eq!(&open, &fold(&times));
        times.sort_unstable();
        prop_assert_eq!(&open, &fold(&times));
    }
}
