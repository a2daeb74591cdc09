using System.Numerics;
using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.IntegrationTests.Billing.Proof;

/// <summary>
/// What a tenant's ledger must be by the rules of docs/billing.md, told anew and in the simplest way: it takes the transactions one by one and says of
/// each what is wrong with it, given all before it and everything that anybody asked.
/// </summary>
internal sealed class TenantModel(string tenant, long creditLimit, IReadOnlyList<Step> asked)
{
    private static readonly Dictionary<string, (long Rate, long Per)> Prices =
        new() { ["message"] = (10_000, 1), ["llm_output"] = (1_200_000, 1_000_000), ["platform"] = (1_000_000, 60) };

    private readonly List<(WrittenTransaction Transaction, IReadOnlyList<WrittenEntry> Entries)> _written = [];
    private readonly HashSet<string> _reversed = [];

    public string Tenant => tenant;

    public long Available { get; private set; }

    public long Held { get; private set; }

    /// <summary>By subject: how much, and which transaction ended it (null: none yet).</summary>
    public Dictionary<string, (long Amount, WrittenTransaction? End)> Holds { get; } = [];

    /// <summary>By transaction: what was given, and what is left of it.</summary>
    public Dictionary<string, Given> Grants { get; } = [];

    /// <summary>
    /// A grant is over without a transaction when its time is and there is nothing to take back: nobody but the ledger knows when that was asked. From the
    /// first moment on when it may have been, grants are judged by their bounds and no longer to the micro-credit.
    /// </summary>
    public bool MayHaveClosed { get; private set; }

    /// <summary>By idempotency key: the transaction, and what was available after it.</summary>
    public Dictionary<string, (WrittenTransaction Transaction, long Available)> Known { get; } = [];

    /// <returns>Null: it is right.</returns>
    public string? Add(WrittenTransaction t, IReadOnlyList<WrittenEntry> entries)
    {
        var key = t.IdempotencyKey.Split(':', 2);
        var expected = key[0] switch
        {
            "topup" => Asked(Asks.TopUp, key[1]).Append(new(Asks.TopUp, tenant, "opening", OpeningCredits)).Select(s => TopUp(s.Amount)),
            "hold" when !Holds.ContainsKey(key[1]) => Asked(Asks.Hold, key[1]).Select(s => Move("hold", Cost(s.Amount))),
            "extend" when key[1].Split(':') is [var subject, var atLeast] && Holds.TryGetValue(subject, out var h) && h.End is null =>
                Asked(Asks.Extend, subject).Select(s => Cost(s.Amount)).Where(c => c > h.Amount && $"{c}" == atLeast).Select(c => Move("extend", c - h.Amount)),
            "end" when Holds.TryGetValue(key[1], out var h) && h.End is null => Asked(Asks.Settle, key[1]).Select(s => Settle(h.Amount, Lines(s.Amount))),
            "late" when Holds.TryGetValue(key[1].Split(':')[0], out var h) && h.End is not null =>
                Asked(Asks.Late, key[1].Split(':')[0]).Where(s => Scenario.LateKey(s.Name, s.Amount) == key[1]).Select(s => Late(Lines(s.Amount))),
            "grant" => Asked(Asks.Grant, key[1]).Select(s => Give(s.Amount)),
            "expiry" when key[1].Split(':') is [var id, _] && Grants.TryGetValue(id, out var g) && g.Expires?.UtcDateTime < t.PostedAt && Asked(Asks.Expire, g.Key).Any() => [Expiry(g, entries)],
            "reversal" when _reversed.Add(key[1]) => _written
                .Where(w => w.Transaction.Id == key[1] && w.Transaction.Kind is "topup" or "charge" or "adjustment" or "promotional" && Asked(Asks.Reverse, w.Transaction.IdempotencyKey).Any())
                .Where(w => !Grants.TryGetValue(w.Transaction.Id, out var g) || g.Expired == 0)
                .Select(w => Reverse(w.Entries)),
            _ => [],
        };
        if (!expected.Any(e => e.Kind == t.Kind && e.Entries.SequenceEqual(entries.Select(x => new Moved(x.Account, x.Amount, x.Component, x.Quantity)))))
        {
            return $"{t.Kind} {t.IdempotencyKey} with [{string.Join(", ", entries)}] is none of what was asked";
        }

        var toAvailable = entries.Where(e => e.Account == "available").Sum(e => e.Amount);
        if (toAvailable < 0 && Available + toAvailable < -creditLimit)
        {
            return $"{t.IdempotencyKey} takes {-toAvailable} of {Available} with a limit of {creditLimit}";
        }

        foreach (var e in entries)
        {
            (Available, Held) = (Available + (e.Account == "available" ? e.Amount : 0), Held + (e.Account == "held" ? e.Amount : 0));
            if (e.BalanceAfter != (e.Account switch { "available" => Available, "held" => Held, _ => (long?)null }))
            {
                return $"the balance after {e} is wrong";
            }
        }

        if (_written.Count > 0 && t.PostedAt <= _written[^1].Transaction.PostedAt)
        {
            return $"{t.Id} is not later than the one before";
        }

        switch (key[0])
        {
            case "hold":
                Holds[key[1]] = (-toAvailable, null);
                break;
            case "extend":
                var subject = key[1].Split(':')[0];
                Holds[subject] = (Holds[subject].Amount - toAvailable, null);
                break;
            case "end":
                Holds[key[1]] = (Holds[key[1]].Amount, t);
                Draw(entries);
                break;
            case "late":
                Draw(entries);
                break;
            case "grant":
                Grants[t.Id] = new(t.Id, t.IdempotencyKey, toAvailable, Scenario.ExpiryOf(key[1])) { Left = toAvailable };
                break;
            case "expiry":
                var given = Grants[key[1].Split(':')[0]];
                given.Expired -= toAvailable;
                given.Left = Held == 0 ? 0 : given.Left + toAvailable;
                break;
            case "reversal" when Grants.TryGetValue(key[1], out var taken):
                taken.Left = 0;
                break;
        }

        MayHaveClosed |= Held == 0 && Available <= 0 && Grants.Values.Any(g => g is { Left: > 0, Expires: not null });

        _written.Add((t, entries));
        Known[t.IdempotencyKey] = (t, Available);
        return null;
    }

    /// <summary>The revenue of a charge, in micro-credits.</summary>
    public long Charged(string transactionId) => _written.Single(w => w.Transaction.Id == transactionId).Entries.Where(e => e.Account == "platform:revenue").Sum(e => e.Amount);

    /// <summary>What a use costs, in micro-credits.</summary>
    public static long Cost(long n) => Lines(n).Sum(l => l.Amount);

    private long OpeningCredits => Scenario.Tenants.Single(t => t.Tenant == tenant).Opening;

    private IEnumerable<Step> Asked(Asks what, string name) => asked.Where(s => s.Asks == what && s.Name == name);

    private static (string Kind, IEnumerable<Moved> Entries) TopUp(long amount) => ("topup", [new("available", amount), new("platform:funding", -amount)]);

    private static (string Kind, IEnumerable<Moved> Entries) Move(string kind, long amount) => (kind, [new("available", -amount), new("held", amount)]);

    private (string Kind, IEnumerable<Moved> Entries) Settle(long held, IReadOnlyList<Moved> lines)
    {
        var cost = lines.Sum(l => l.Amount);
        var beyond = Math.Max(0, cost - held);
        var collected = Math.Min(beyond, Math.Max(0, Available + creditLimit));
        var entries = new List<Moved> { new("held", -held) };
        if (held - cost + beyond != collected)
        {
            entries.Add(new("available", held - cost + beyond - collected));
        }

        if (beyond > collected)
        {
            entries.Add(new("platform:uncollected", collected - beyond));
        }

        return (cost > 0 ? "charge" : "release", [.. entries, .. lines]);
    }

    private static (string Kind, IEnumerable<Moved> Entries) Reverse(IReadOnlyList<WrittenEntry> entries)
    {
        var back = -entries.Where(e => e.Account is "available" or "held").Sum(e => e.Amount);
        var platform = entries.Where(e => e.Account is not ("available" or "held")).Select(e => new Moved(e.Account, -e.Amount, e.Component, -e.Quantity));
        return ("reversal", back == 0 ? platform : platform.Prepend(new("available", back)));
    }

    private static List<Moved> Lines(long n) =>
        [.. from use in Scenario.Use(n)
            where use.Quantity > 0
            orderby use.Component
            let price = Prices[use.Component]
            let amount = ((2 * (BigInteger)price.Rate * use.Quantity) + price.Per) / (2 * price.Per)
            select new Moved("platform:revenue", (long)amount, use.Component, use.Quantity)];

    private static (string Kind, IEnumerable<Moved> Entries) Give(long amount) => ("promotional", [new("available", amount), new("platform:promotional", -amount)]);

    /// <summary>What is left, but for what the holds may still draw of it: they draw from what expires sooner first.</summary>
    private (string Kind, IEnumerable<Moved> Entries) Expiry(Given g, IReadOnlyList<WrittenEntry> written)
    {
        var sooner = Grants.Values.Where(o => o.Expires is { } at && (at < g.Expires || (at == g.Expires && string.CompareOrdinal(o.Id, g.Id) < 0))).Sum(o => o.Left);
        var take = Math.Min(g.Left - Math.Min(g.Left, Math.Max(0, Held - sooner)), Math.Max(0, Available));
        if (MayHaveClosed)
        {
            take = Math.Clamp(-written[0].Amount, 1, Math.Min(g.Left, Math.Max(1, Available)));
        }

        return ("expiry", [new("available", -take), new("platform:promotional", take)]);
    }

    private (string Kind, IEnumerable<Moved> Entries) Late(IReadOnlyList<Moved> lines)
    {
        var cost = lines.Sum(l => l.Amount);
        var collected = Math.Min(cost, Math.Max(0, Available + creditLimit));
        var entries = new List<Moved>();
        if (collected > 0)
        {
            entries.Add(new("available", -collected));
        }

        if (cost > collected)
        {
            entries.Add(new("platform:uncollected", collected - cost));
        }

        return ("adjustment", [.. entries, .. lines]);
    }

    /// <summary>What was charged and collected comes out of what was given, what expires soonest first.</summary>
    private void Draw(IReadOnlyList<WrittenEntry> entries)
    {
        var collected = -entries.Where(e => e.Account is "available" or "held").Sum(e => e.Amount);
        foreach (var g in Grants.Values.OrderBy(g => g.Expires ?? DateTimeOffset.MaxValue).ThenBy(g => g.Id, StringComparer.Ordinal))
        {
            var drawn = Math.Min(g.Left, collected);
            (g.Left, collected) = (g.Left - drawn, collected - drawn);
        }
    }

    /// <summary>Credits that were given.</summary>
    internal sealed class Given(string id, string key, long amount, DateTimeOffset? expires)
    {
        public string Id => id;

        public string Key => key;

        public long Amount => amount;

        public DateTimeOffset? Expires => expires;

        public long Left { get; set; }

        public long Expired { get; set; }
    }

    /// <summary>What matters of an entry.</summary>
    private sealed record Moved(string Account, long Amount, string? Component = null, long? Quantity = null);
}
