"""A trial on several processes: `batch` asks the ranks, `rank` is what each of them runs."""
