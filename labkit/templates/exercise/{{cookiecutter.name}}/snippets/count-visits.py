Pages.visits += 1
