"""Pages for people: server-rendered, without JavaScript, in Norwegian and English."""
