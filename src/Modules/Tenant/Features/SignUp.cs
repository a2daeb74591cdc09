namespace VoicePlatform.Tenants.Features;

/// <summary>Seed 003's POST /auth/create-key: <see cref="NewTenant"/> for whoever comes, in the seed's envelope.</summary>
internal static class SignUp
{
    public static void Map(IEndpointRouteBuilder app) => app
        .MapPost("/auth/create-key", async (Body body, IMediator mediator, CancellationToken ct) =>
        {
            var result = await mediator.Send(new NewTenant(body.UserName, body.OrgName, body.UserEmail, IsSignUp: true), ct);
            return result.IsOk
                ? Results.Json(new { success = true, message = "API key created", data = result.Value }, Json.Options)
                : Results.Json(
                    new { success = false, message = result.Error.Message, data = (object?)null },
                    Json.Options,
                    statusCode: result.Error.Kind is ErrorKind.Invalid ? StatusCodes.Status400BadRequest : HttpResults.StatusOf(result.Error.Kind));
        })
        .WithName(nameof(SignUp))
        .WithTags("Seed 003")
        .AllowAnonymous();

    public sealed record Body(string? UserName = null, string? OrgName = null, string? UserEmail = null);
}
