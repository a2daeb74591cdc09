using VoicePlatform.Billing.Ledger;

namespace VoicePlatform.Billing.Features;

/// <summary>
/// Sets prices from a time on, for one tenant or for everybody who has no card of his own. A card is never edited: this is the next version, and
/// what was accepted under another keeps that one's prices. A component that is left out keeps the price that it would have had.
/// </summary>
internal static class CreateRateCard
{
    // A price of a day of calls, in every component, still fits a long many times over.
    private const long MaxRate = 1_000 * Credits.One;
    private const long MaxUnits = 1_000_000_000;
    private const int MaxYearsAhead = 10;

    /// <summary>How long ago still means now: a request takes its time to come here.</summary>
    private static readonly TimeSpan Now = TimeSpan.FromMinutes(1);

    public static void Map(RouteGroupBuilder billing) => billing
        .MapPost("/rate-cards", async (Command command, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(CreateRateCard))
        .Produces<RateCardView>(StatusCodes.Status201Created);

    /// <param name="TenantId">Left out: the card of everybody who has none of his own.</param>
    /// <param name="ValidFrom">Left out: from now on. Never in the past.</param>
    public sealed record Command(string? TenantId, DateTimeOffset? ValidFrom, IReadOnlyList<NewRate>? Rates) : ICommand<RateCardView>;

    /// <param name="Rate">Micro-credits for 'per' units.</param>
    /// <param name="Increment">Above the minimum, quantities are rounded up to a multiple of this.</param>
    /// <param name="Minimum">Units that are charged when there was any use.</param>
    public sealed record NewRate(string? Component, string? Unit, long Rate, long Per = 1, long Increment = 1, long Minimum = 0);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.TenantId).Must(id => id is null || Ids.IsWellFormed(id, Ids.Tenant)).WithMessage("'tenant_id' must be a tenant's id.");
            RuleFor(c => c.Rates).NotEmpty().Must(r => r is null || r.Count <= RateCards.MaxComponents).WithMessage($"'rates' must hold 1 to {RateCards.MaxComponents} prices.");
            RuleFor(c => c.Rates).Must(r => r is null || r.Where(p => p is not null).GroupBy(p => p.Component, StringComparer.Ordinal).All(g => g.Count() == 1)).WithMessage("'rates' must name each component once.");
            RuleForEach(c => c.Rates).NotNull().ChildRules(price =>
            {
                price.RuleFor(p => p.Component).NotEmpty();
                price.RuleFor(p => p.Unit).NotEmpty();
                price.RuleFor(p => p.Rate).InclusiveBetween(0, MaxRate);
                price.RuleFor(p => p.Per).InclusiveBetween(1, MaxUnits);
                price.RuleFor(p => p.Increment).InclusiveBetween(1, MaxUnits);
                price.RuleFor(p => p.Minimum).InclusiveBetween(0, MaxUnits);
            });
        }
    }

    internal sealed class Handler(RateCards cards, AuditLog audit, TimeProvider clock) : IRequestHandler<Command, Result<RateCardView>>
    {
        public async Task<Result<RateCardView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var now = clock.GetUtcNow();
            var validFrom = command.ValidFrom?.ToUniversalTime() ?? now;
            if (validFrom < now - Now)
            {
                return Error.Field("valid_from", "in_the_past", "'valid_from' must not be in the past: what was accepted has its price.");
            }

            if (validFrom > now.AddYears(MaxYearsAhead))
            {
                return Error.Field("valid_from", "out_of_range", $"'valid_from' must be within {MaxYearsAhead} years.");
            }

            validFrom = validFrom < now ? now : validFrom;
            var rates = (await cards.InForceAsync(command.TenantId, validFrom, cancellationToken)).Rates.ToDictionary();
            for (var i = 0; i < command.Rates!.Count; i++)
            {
                var price = command.Rates[i];
                if (!rates.TryGetValue(price.Component!, out var before))
                {
                    return Error.Field($"rates[{i}].component", "unknown", $"'component' must be one of {string.Join(", ", rates.Keys.Order(StringComparer.Ordinal))}.");
                }

                if (before.Unit != price.Unit)
                {
                    return Error.Field($"rates[{i}].unit", "unknown", $"'{price.Component}' is measured in {before.Unit}s.");
                }

                rates[before.Component] = new(before.Component, before.Unit, price.Rate, price.Per, price.Increment, price.Minimum);
            }

            if (await cards.AddAsync(command.TenantId, validFrom, rates, cancellationToken) is not { } card)
            {
                return BillingErrors.UnknownTenant;
            }

            var view = RateCardView.Of(card);
            await audit.NoteAsync("billing.rate_card_created", card.Id, new { view.ValidFrom, command.Rates }, cancellationToken, command.TenantId ?? "platform");
            return view;
        }
    }
}
