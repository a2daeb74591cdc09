using VoicePlatform.Tenants.Data;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Features;

/// <summary>Registers a URL for the tenant's events. The signing secret is in this answer and nowhere else.</summary>
internal static class CreateWebhook
{
    public static void Map(RouteGroupBuilder webhooks) => webhooks
        .MapPost("/", async (Command command, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(command, ct)).ToHttp(r => TypedResults.Json(r, Json.Options, statusCode: StatusCodes.Status201Created)))
        .WithName(nameof(CreateWebhook))
        .Produces<Response>(StatusCodes.Status201Created);

    /// <param name="EventTypes">Which events to send; none is all.</param>
    public sealed record Command(string? Url, IReadOnlyList<string>? EventTypes = null) : ICommand<Response>;

    public sealed record Response(string Id, string Url, IReadOnlyList<string> EventTypes, string Secret, DateTimeOffset CreatedAt);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Url).NotEmpty().MaximumLength(Webhook.UrlMaxLength)
                .Must(u => Uri.TryCreate(u, UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http" && uri.UserInfo.Length == 0)
                .WithMessage("'url' must be an absolute http or https URL without credentials.");
            RuleForEach(c => c.EventTypes).NotNull().Matches("^[a-z_]+(\\.[a-z_]+)*$").MaximumLength(100);
            RuleFor(c => c.EventTypes).Must(t => t is not { Count: > 50 }).WithMessage("'event_types' may name up to 50 types.");
        }
    }

    internal sealed class Handler(TenantDb db, Caller caller, SecretBox box, OutboundGuard guard, TimeProvider clock) : IRequestHandler<Command, Result<Response>>
    {
        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (guard.RefusalOf(new Uri(command.Url!)) is { } refusal)
            {
                return Error.Field("url", "not_allowed", refusal);
            }

            var (webhook, secret) = Webhook.Register(caller.TenantId, command.Url!, command.EventTypes ?? [], box, clock.GetUtcNow());
            db.Webhooks.Add(webhook);
            await db.SaveChangesAsync(cancellationToken);
            return new Response(webhook.Id, webhook.Url, webhook.EventTypes, secret, webhook.CreatedAt);
        }
    }
}
