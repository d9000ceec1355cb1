"""A lab behind Thaw's gateway, which has logged its user in and alone reaches its socket."""

c = get_config()  # noqa: F821  # Jupyter's
c.IdentityProvider.token = ""
# The gateway keeps the browser's Host, which is not localhost; Jupyter's checks of Origin and XSRF stay as they are.
c.ServerApp.allow_remote_access = True
# Nothing it could fetch can be reached.
c.LabApp.extension_manager = "readonly"
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.MultiKernelManager.default_kernel_name = "python3"
