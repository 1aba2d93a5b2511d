"""Addresses of discussions."""

from django.urls import path

from experiments.views.discussion import discussion

urlpatterns = [
    path("comments/<int:pk>/edit/", discussion.comment_edit, name="comment_edit"),
    path("comments/<int:pk>/delete/", discussion.comment_delete, name="comment_delete"),
    path("comments/<int:pk>/history/", discussion.comment_history, name="comment_history"),
    path("<slug:kind>/<slug:key>/", discussion.discussion, name="discussion"),
    path("<slug:kind>/<slug:key>/post/", discussion.comment_post, name="comment_post"),
    path("<slug:kind>/<slug:key>/mute/", discussion.discussion_mute, name="discussion_mute"),
    path("<slug:kind>/<slug:key>/people/", discussion.discussion_people, name="discussion_people"),
]
