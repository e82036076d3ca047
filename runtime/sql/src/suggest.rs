//! The nearest known name, for hints.

/// The known name that is nearest to `name` without regard to case, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    // A third of the letters may be wrong: `auctoin` means `auction`, `x` means nothing.
    let limit = (lower.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|k| (distance(&lower, &k.to_lowercase()), k))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, k)| (*d, *k))
        .map(|(_, k)| k)
}

/// `did you mean 'x'?`, or the list if it is short, or nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(k) = nearest(name, known.clone()) {
        return Some(format!("did you mean '{k}'?"));
    }
    let all: Vec<&str> = known.into_iter().collect();
    // Up to eight names fit on a line and are read.
    (!all.is_empty() && all.len() <= 8).then(|| format!("known: {}", all.join(", ")))
}

/// Optimal string alignment: insert, delete, replace, swap of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_across_swaps_and_case() {
        assert_eq!(nearest("auctoin", ["bidder", "auction"]), Some("auction"));
        assert_eq!(nearest("BIDDER", ["bidder", "auction"]), Some("bidder"));
        assert_eq!(nearest("zzz", ["bidder", "auction"]), None);
    }
}
