from nanobus.dispatch.native import NativeService

class RiskCore(NativeService):
    limit: float
    @property
    def exposure(self) -> float: ...
