# What a Cython module of one's own needs for a native handler: `from nanobus cimport NativeMessage, NativeService`.
from nanobus.dispatch.native cimport NativeFunction, NativeMessage, NativeService
from nanobus.dispatch.permits cimport NativeStatus, send
