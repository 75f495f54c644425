"""Who may act: tokens and the permission sets they carry."""
