namespace VoicePlatform.Tenants.Events;

/// <summary>Where code that commits a delivery tells the sender of this process which receivers have something due; others find it when they poll.</summary>
internal sealed class DueLanes : IDisposable
{
    private readonly WakeUp _wakeUp = new();
    private readonly Lock _lock = new();
    private HashSet<DueLane> _marked = [];

    public void Mark(IEnumerable<DueLane> lanes)
    {
        lock (_lock)
        {
            _marked.UnionWith(lanes);
        }

        _wakeUp.Wake();
    }

    public IReadOnlyCollection<DueLane> Take()
    {
        lock (_lock)
        {
            var marked = _marked;
            _marked = [];
            return marked;
        }
    }

    public void Wake() => _wakeUp.Wake();

    public Task WaitAsync(TimeSpan atMost, TimeProvider clock, CancellationToken ct) => _wakeUp.WaitAsync(atMost, clock, ct);

    public void Dispose() => _wakeUp.Dispose();
}
