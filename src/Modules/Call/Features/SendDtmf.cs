using VoicePlatform.Calls.Live;

namespace VoicePlatform.Calls.Features;

/// <summary>Presses keys on the telephone: through menus, into extensions. 'w' waits half a second.</summary>
internal static class SendDtmf
{
    public static void Map(RouteGroupBuilder calls) => calls
        .MapPost("/{id}/dtmf", async (string id, Body body, Caller caller, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(caller.TenantId, id, body.Digits), ct)).ToHttp(_ => TypedResults.Accepted((string?)null)))
        .WithName(nameof(SendDtmf))
        .Produces(StatusCodes.Status202Accepted);

    public sealed record Body(string? Digits);

    public sealed record Command(string TenantId, string CallId, string? Digits) : IRequest<Result<Done>>, IEffect;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() => RuleFor(c => c.Digits).NotEmpty().MaximumLength(64).Matches("^[0-9A-Dw*#]+$").WithMessage("'digits' are made of 0-9, *, #, A-D and w (half a second's pause).");
    }

    internal sealed class Handler(LiveCalls live) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
        {
            var call = await live.FindAsync(command.TenantId, command.CallId, cancellationToken);
            return call.IsOk ? await live.AskAgentAsync(call.Value, "assistant.dtmf", new { digits = command.Digits }, cancellationToken) : call.Error;
        }
    }
}
