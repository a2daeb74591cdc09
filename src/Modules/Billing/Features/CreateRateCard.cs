using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>
/// Sets prices from a time on, for one tenant or for everybody who has no card of his own. A card is never edited: this is the next version, and
/// what was accepted under another keeps that one's prices. A price that is left out stays as it would have been; one that is set holds until a card
/// of later sets it itself, those that are announced already included.
/// </summary>
internal static class CreateRateCard
{
    private const long MaxRate = 1_000 * Credits.One;
    private const long MaxUnits = 1_000_000_000;
    private const int MaxRates = 1_000;
    private const int MaxYearsAhead = 10;

    /// <summary>What one line may cost at the most that can be used, so that all of a conversation's lines together fit a posting.</summary>
    private const long MaxLine = Credits.Max / 16;

    public static void Map(RouteGroupBuilder billing) => billing
        .MapPost("/rate-cards", async (Command command, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(CreateRateCard))
        .Produces<RateCardView>(StatusCodes.Status201Created);

    /// <param name="TenantId">Left out: the card of everybody who has none of his own.</param>
    /// <param name="ValidFrom">Left out: from now on. Never in the past.</param>
    /// <param name="Rates">The prices that change.</param>
    /// <param name="OwnKeyDiscountPercent">How much less than its rate costs what is used by the tenant's own key at a provider; left out: as before.</param>
    public sealed record Command(string? TenantId, DateTimeOffset? ValidFrom, IReadOnlyList<NewRate>? Rates, int? OwnKeyDiscountPercent = null) : ICommand<RateCardView>;

    /// <param name="Rate">Micro-credits for 'per' units.</param>
    /// <param name="Increment">Above the minimum, quantities are rounded up to a multiple of this.</param>
    /// <param name="Minimum">Units that are charged when there was any use.</param>
    /// <param name="Prefix">Of the numbers that it is the price for, in E.164; the longest that fits counts. Left out: all that have no price of their own.</param>
    /// <param name="Cost">What the provider charges the platform for 'per' units, in micro-credits; left out: not known. Tenants are not told.</param>
    public sealed record NewRate(
        string? Component, string? Unit, long Rate, long Per = 1, long Increment = 1, long Minimum = 0, string? Prefix = null, long? Cost = null)
    {
        public Rate ToRate() => new(Component!, Unit!, Rate, Per, Increment, Minimum) { Prefix = Prefix ?? "", Cost = Cost };
    }

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.TenantId).Must(id => id is null || Ids.IsWellFormed(id, Ids.Tenant)).WithMessage("'tenant_id' must be a tenant's id.");
            RuleFor(c => c.OwnKeyDiscountPercent).InclusiveBetween(0, 100);
            RuleFor(c => c.Rates).NotEmpty().When(c => c.OwnKeyDiscountPercent is null);
            RuleFor(c => c.Rates).Must(r => r is null || r.Count <= MaxRates).WithMessage($"'rates' must hold {MaxRates} prices at most.");
            RuleFor(c => c.Rates).Must(r => r is null || r.Where(p => p is not null).GroupBy(p => (p.Component, p.Prefix ?? "")).All(g => g.Count() == 1))
                .WithMessage("'rates' must name each component and prefix once.");
            RuleForEach(c => c.Rates).NotNull().ChildRules(price =>
            {
                price.RuleFor(p => p.Component).NotEmpty();
                price.RuleFor(p => p.Unit).NotEmpty();
                price.RuleFor(p => p.Rate).InclusiveBetween(0, MaxRate);
                price.RuleFor(p => p.Per).InclusiveBetween(1, MaxUnits);
                price.RuleFor(p => p.Increment).InclusiveBetween(1, MaxUnits);
                price.RuleFor(p => p.Minimum).InclusiveBetween(0, MaxUnits);
                price.RuleFor(p => p.Cost).InclusiveBetween(0, MaxRate);
                price.RuleFor(p => p.Prefix).Matches(@"^\+[1-9][0-9]{0,14}\z").WithMessage("'prefix' must be the beginning of a number in E.164, as +4915.");
            });
        }
    }

    internal sealed class Handler(RateCards cards, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<RateCardView>>
    {
        public async Task<Result<RateCardView>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (command.ValidFrom > clock.GetUtcNow().AddYears(MaxYearsAhead))
            {
                return Error.Field("valid_from", "out_of_range", $"'valid_from' must be within {MaxYearsAhead} years.");
            }

            var prices = command.Rates ?? [];
            for (var i = 0; i < prices.Count; i++)
            {
                if (Refusal(prices[i], $"rates[{i}]") is { } refusal)
                {
                    return refusal;
                }
            }

            var card = await cards.AddAsync(command.TenantId, command.ValidFrom, command.OwnKeyDiscountPercent, [.. prices.Select(p => p.ToRate())], cancellationToken);
            if (!card.IsOk)
            {
                return card.Error;
            }

            // The tenant reads its audit log; what the platform pays is not for it.
            var view = RateCardView.Of(card.Value, withCost: true);
            var told = prices.Select(p => command.TenantId is null ? p : p with { Cost = null });
            await audit.NoteAsync(
                "billing.rate_card_created", view.Id, new { view.ValidFrom, Rates = told, command.OwnKeyDiscountPercent }, cancellationToken, command.TenantId ?? "platform");
            return view;
        }

        private static Error? Refusal(NewRate price, string field)
        {
            if (!Components.All.TryGetValue(price.Component!, out var component))
            {
                return Error.Field($"{field}.component", "unknown", $"'component' must be one of {string.Join(", ", Components.All.Keys.Order(StringComparer.Ordinal))}.");
            }

            if (component.Unit != price.Unit)
            {
                return Error.Field($"{field}.unit", "unknown", $"'{price.Component}' is measured in {component.Unit}s.");
            }

            if (price.Prefix is not null && !Components.IsNumbered(component.Name))
            {
                return Error.Field($"{field}.prefix", "not_allowed", $"'{price.Component}' has no price by number.");
            }

            var rate = price.ToRate();
            if ((Int128)component.Most * (rate.Cost ?? 0) > (Int128)MaxLine * rate.Per)
            {
                return Error.Field($"{field}.cost", "too_large", $"{component.Most} {component.Unit}s must not cost more than {MaxLine} micro-credits.");
            }

            return (Int128)rate.Billable(component.Most) * rate.MicroCredits > (Int128)MaxLine * rate.Per
                ? Error.Field(
                    $"{field}.rate", "too_large",
                    $"A conversation that uses {component.Most} {component.Unit}s could not be charged: with 'minimum' and 'increment' it must not cost more than {MaxLine} micro-credits.")
                : null;
        }
    }
}
