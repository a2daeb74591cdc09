namespace VoicePlatform.Tenants.Events;

/// <summary>
/// How many deliveries of each receiver (lane) this host has under way, and how many more it may take up: so many for a receiver, so many for
/// a tenant, so many in all, and few for a receiver that let us wait in vain, so that those who hang occupy next to nothing.
/// What may not be taken up is not claimed, and waits in the database for this host or another.
/// </summary>
internal sealed class DeliveryLanes
{
    public const int PerLane = 16;
    public const int PerHangingLane = 2;
    public const int PerTenant = 64;
    public const int InAll = 1024;

    private readonly Lock _lock = new();        // The loop plans, sends that end report.
    private readonly Dictionary<string, Lane> _lanes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _ofTenants = new(StringComparer.Ordinal);
    private long _round;
    private int _underWay;

    /// <summary>Something may be due in these lanes.</summary>
    public void MarkDue(IEnumerable<DueLane> lanes)
    {
        lock (_lock)
        {
            foreach (var (name, tenant) in lanes)
            {
                if (!_lanes.TryGetValue(name, out var lane))
                {
                    _lanes.Add(name, lane = new Lane(name, tenant));
                }

                lane.IsDue = true;
            }
        }
    }

    /// <summary>What to claim now: lanes with something due and places for it, those first that were served longest ago. The places count as taken.</summary>
    public IReadOnlyList<LanePlaces> Plan()
    {
        lock (_lock)
        {
            var plan = new List<LanePlaces>();
            foreach (var lane in _lanes.Values.Where(l => l.IsDue).OrderBy(l => l.ServedInRound).ToList())
            {
                var places = Math.Min(Math.Min(lane.Cap - lane.UnderWay, PerTenant - _ofTenants.GetValueOrDefault(lane.TenantId)), InAll - _underWay);
                if (places > 0)
                {
                    lane.ServedInRound = ++_round;
                    Take(lane, places);
                    plan.Add(new(lane.Name, places));
                }
            }

            return plan;
        }
    }

    /// <param name="found">How many deliveries the claim found due in the lane, put off or not.</param>
    /// <param name="sending">How many of them are being sent; the other places are free again.</param>
    public void Claimed(LanePlaces planned, int found, int sending)
    {
        lock (_lock)
        {
            var lane = _lanes[planned.Lane];
            lane.IsDue &= found == planned.Places;
            Take(lane, sending - planned.Places);
            Forget(lane);
        }
    }

    /// <returns>Whether the place can be taken by something that waits.</returns>
    public bool Ended(string name, bool hung)
    {
        lock (_lock)
        {
            var lane = _lanes[name];
            lane.IsHanging = hung;
            Take(lane, -1);
            Forget(lane);
            return lane.IsDue || _underWay == InAll - 1 || _ofTenants.GetValueOrDefault(lane.TenantId) == PerTenant - 1;
        }
    }

    private void Take(Lane lane, int places)
    {
        lane.UnderWay += places;
        _underWay += places;
        var ofTenant = _ofTenants.GetValueOrDefault(lane.TenantId) + places;
        if (ofTenant == 0)
        {
            _ofTenants.Remove(lane.TenantId);
        }
        else
        {
            _ofTenants[lane.TenantId] = ofTenant;
        }
    }

    /// <summary>Only lanes about which there is something to remember are kept; one that hangs has deliveries that will come back.</summary>
    private void Forget(Lane lane)
    {
        if (lane is { IsDue: false, UnderWay: 0, IsHanging: false })
        {
            _lanes.Remove(lane.Name);
        }
    }

    private sealed class Lane(string name, string tenantId)
    {
        public string Name { get; } = name;
        public string TenantId { get; } = tenantId;
        public bool IsDue { get; set; }
        public bool IsHanging { get; set; }
        public int UnderWay { get; set; }
        public long ServedInRound { get; set; }
        public int Cap => IsHanging ? PerHangingLane : PerLane;
    }
}

/// <summary>A lane that has something to send.</summary>
internal readonly record struct DueLane(string Lane, string TenantId);

/// <summary>How many deliveries may be claimed of a lane.</summary>
internal readonly record struct LanePlaces(string Lane, int Places);
