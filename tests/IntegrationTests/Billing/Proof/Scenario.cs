using FsCheck;
using FsCheck.Fluent;
using VoicePlatform.Contracts.Billing;

namespace VoicePlatform.IntegrationTests.Billing.Proof;

internal enum Asks
{
    TopUp,
    Hold,
    Extend,
    Settle,
    Reverse,

    /// <summary>Promotional credits, which may expire.</summary>
    Grant,

    /// <summary>The job comes by that takes expired ones back.</summary>
    Expire,

    /// <summary>Use of a conversation that is over becomes known.</summary>
    Late,
}

/// <summary>One request to the ledger.</summary>
/// <param name="Name">A top-up's or grant's reference, a hold's subject, or the idempotency key of what is to be reversed or to expire.</param>
/// <param name="Amount">Micro-credits of a top-up or grant; of a hold, an extension, a settlement and late use how much is used (<see cref="Scenario.Use"/>).</param>
internal sealed record Step(Asks Asks, string Tenant, string Name, long Amount);

/// <summary>Requests of one tenant in one transaction.</summary>
/// <param name="StopsAfter">After so many of them whoever plays it dies, the first time it is played; null: when chance has it.</param>
internal sealed record Operation(int Id, IReadOnlyList<Step> Steps, int? StopsAfter);

/// <summary>What is asked of a ledger by everybody together.</summary>
/// <param name="Operations">In the order in which they are taken; every now and then one that was asked before is asked again.</param>
internal sealed record Scenario(IReadOnlyList<Operation> Operations)
{
    /// <summary>One with little, one with a limit, one with plenty: refusals, credit and neither.</summary>
    public static readonly IReadOnlyList<(string Tenant, long Opening, long CreditLimit)> Tenants =
        [("ten-poor", 300_000, 0), ("ten-trusted", 100_000, 2_000_000), ("ten-rich", 50_000_000, 0), (Given, 0, 0), (Sure, 50_000_000, 0)];

    // Holds nothing: what was given to it and is over does expire.
    private const string Given = "ten-given";
    private const int TimesGiven = 12;

    // What it asks is asked in every scenario, whatever chance draws: each kind of transaction comes to be.
    private const string Sure = "ten-sure";

    private static readonly Gen<long> Amounts = Gen.OneOf(Gen.Choose(0, 3), Gen.Choose(1, 400), Gen.Choose(1, 5_000)).Select(n => (long)n);

    public static Gen<Scenario> Generator(int size) =>
        from drawn in Operation(Math.Max(4, size / 12)).ArrayOf(size - TimesGiven - 2)
        let given = drawn.SelectMany((o, i) => i % (drawn.Length / TimesGiven) == 0 && i / (drawn.Length / TimesGiven) < TimesGiven ? [GiveAndExpire, o] : new[] { o })
        let operations = given.Append(LetGo).Append(ChargeAndTakeBack).ToArray()
        from again in Gen.Choose(0, 5).ArrayOf(size)
        select new Scenario([.. Number(operations).SelectMany((o, i) => again[i] == 0 && i > 20 ? [o, Number(operations)[i - 20]] : new[] { o })]);

    /// <summary>Messages, tokens and seconds, more of each with a larger number: prices that have to be rounded among them.</summary>
    public static IReadOnlyList<Measured> Use(long n) =>
        [new("message", "message", n % 7), new("llm_output", "token", n), new("platform", "second", n / 40)];

    /// <summary>When a grant's time is over: of two thirds it is, in no order, and of the others it never will be.</summary>
    public static DateTimeOffset? ExpiryOf(string grant)
    {
        var n = grant.Aggregate(17, (sum, c) => unchecked((sum * 31) + c)) & 0xFFFF;
        return (n % 6) switch { 0 => null, 1 => new DateTimeOffset(2999, 1, 1, 0, 0, 0, TimeSpan.Zero), _ => new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero).AddMinutes(n / 6) };
    }

    private static Operation GiveAndExpire => new(0, [new(Asks.Grant, Given, "", 50_000), new(Asks.Expire, Given, "the one before", 0)], null);

    private static Operation LetGo => new(0, [new(Asks.Hold, Sure, "let-go", 100), new(Asks.Extend, Sure, "let-go", 400), new(Asks.Settle, Sure, "let-go", 0)], null);

    private static Operation ChargeAndTakeBack =>
        new(0, [new(Asks.TopUp, Sure, "", 1_000), new(Asks.Hold, Sure, "taken", 100), new(Asks.Settle, Sure, "taken", 50), new(Asks.Late, Sure, "taken", 60), new(Asks.Reverse, Sure, "end:taken", 0)], null);

    private static Gen<Operation> Operation(int subjects) =>
        from tenant in Gen.Elements(Tenants.Select(t => t.Tenant).Where(t => t != Given))
        from count in Gen.Frequency((6, Gen.Constant(1)), (2, Gen.Constant(2)), (1, Gen.Constant(3)))
        from steps in Step(tenant, subjects).ArrayOf(count)
        from stops in Gen.Frequency((5, Gen.Constant((int?)null)), (1, Gen.Choose(1, count).Select(n => (int?)n)))
        select new Operation(0, steps, stops);

    private static Gen<Step> Step(string tenant, int subjects) =>
        from n in Gen.Choose(1, subjects)
        from amount in Amounts
        let subject = $"{tenant}-ses{n}"
        from step in Gen.Frequency(
            (2, Gen.Constant(new Step(Asks.TopUp, tenant, "", 1 + (amount * 137)))),
            (6, Gen.Constant(new Step(Asks.Hold, tenant, subject, amount))),
            (3, Gen.Constant(new Step(Asks.Extend, tenant, subject, amount * 2))),
            (5, Gen.Constant(new Step(Asks.Settle, tenant, subject, amount))),
            (1, Gen.Constant(new Step(Asks.Settle, tenant, subject, 0))),
            (3, Gen.Constant(new Step(Asks.Grant, tenant, "", 1 + (amount * 211)))),
            (4, Gen.Constant(new Step(Asks.Expire, tenant, "", 0))),
            (6, Gen.Constant(new Step(Asks.Late, tenant, subject, amount))),
            (2, Gen.Elements($"end:{subject}", $"late:{LateKey(subject, amount)}", "topup:opening", "grant:", $"hold:{subject}").Select(key => new Step(Asks.Reverse, tenant, key, 0))))
        select step;

    /// <summary>What names a step of late use.</summary>
    public static string LateKey(string subject, long n) =>
        $"{subject}:{string.Join(',', Use(n).Select(m => $"{m.Component}={m.Quantity}").Order(StringComparer.Ordinal))}";

    // References of top-ups are their operation's, and so are some reversals': a top-up is reversed by whoever comes after it.
    private static Operation[] Number(Operation[] operations) => [.. operations.Select((o, id) => o with
    {
        Id = id,
        Steps = [.. o.Steps.Select((s, n) => s switch
        {
            { Asks: Asks.TopUp or Asks.Grant } => s with { Name = $"{id}-{n}" },
            { Asks: Asks.Reverse, Name: "topup:opening" } => s with { Name = Earlier(Asks.TopUp, operations, id, s.Tenant, back: 0) },
            { Asks: Asks.Expire, Name: "the one before" } => s with { Name = $"grant:{id}-{n - 1}" },
            { Asks: Asks.Reverse, Name: "grant:" } or { Asks: Asks.Expire } => s with { Name = Earlier(Asks.Grant, operations, id, s.Tenant, back: id % 4) },
            _ => s,
        })],
    })];

    /// <param name="back">So many such ones are passed over.</param>
    private static string Earlier(Asks what, Operation[] operations, int before, string tenant, int back)
    {
        for (var id = before - 1; id >= 0; id--)
        {
            for (var n = 0; n < operations[id].Steps.Count; n++)
            {
                if (operations[id].Steps[n].Asks == what && operations[id].Steps[n].Tenant == tenant && back-- == 0)
                {
                    return $"{(what is Asks.Grant ? "grant" : "topup")}:{id}-{n}";
                }
            }
        }

        return "topup:opening";
    }
}
