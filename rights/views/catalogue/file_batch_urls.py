"""URLs of file batches, under /rights/files/."""

from django.urls import path

from rights.views.catalogue import file_batches

urlpatterns = [
    path("", file_batches.file_batches, name="file_batches"),
    path("new/", file_batches.file_batch_new, name="file_batch_new"),
    path("<int:pk>/", file_batches.file_batch, name="file_batch"),
    path("<int:pk>/progress/", file_batches.file_batch_progress, name="file_batch_progress"),
    path("<int:pk>/attach/", file_batches.file_batch_attach, name="file_batch_attach"),
    path("<int:pk>/attach/all/", file_batches.file_batch_attach_all, name="file_batch_attach_all"),
    path(
        "<int:pk>/files/<int:number>/choose/",
        file_batches.file_batch_choose,
        name="file_batch_choose",
    ),
    path(
        "<int:pk>/files/<int:number>/leave-out/",
        file_batches.file_batch_leave_out,
        name="file_batch_leave_out",
    ),
    path("<int:pk>/again/", file_batches.file_batch_again, name="file_batch_again"),
    path("<int:pk>/discard/", file_batches.file_batch_discard, name="file_batch_discard"),
    path("<int:pk>/left-over.csv", file_batches.file_batch_left_over, name="file_batch_left_over"),
]
