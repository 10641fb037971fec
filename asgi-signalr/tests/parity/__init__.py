"""What a live ASP.NET Core answered, replayed."""
